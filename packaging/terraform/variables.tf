# Values without a default must be given; defaults marked EDIT are those of config/examples/ec2.toml, and must stay equal
# to your copy of it.

variable "vpc_id" {
  description = "The VPC that home reaches."
  type        = string
}

variable "subnet_id" {
  description = "A public subnet of it: the gateway lives here, best alone. private_ip is one of its addresses."
  type        = string
}

# Not the gateway's own: while the tunnel is down a packet to home would leave the gateway by its default route, come straight
# back by this route, and go round until its TTL ends.
variable "route_table_ids" {
  description = "Route tables of the subnets that reach home: each gets the home prefixes. Not that of the gateway's subnet."
  type        = set(string)
}

variable "key_name" {
  description = "An EC2 key pair, to log in with."
  type        = string
}

variable "admin_cidrs" {
  description = "Where SSH may come from. Without one nobody can install the gateway."
  type        = set(string)
}

variable "private_ip" {
  description = "The instance's address: router-id in ec2.toml."
  type        = string
  default     = "10.20.0.10" # EDIT
}

variable "vpc_cidrs" {
  description = "What home may reach: the VPC's own prefixes, as ec2.toml originates them."
  type        = set(string)
  default = [
    "10.20.0.0/16",   # EDIT
    "10.20.128.0/20", # EDIT: a subnet of AWS services
  ]
}

variable "home_prefixes" {
  description = "What is at home: routed-ips of the peer `homelab` in ec2.toml."
  type        = set(string)
  default = [
    "10.244.0.0/16",  # EDIT: pods of cluster mlops
    "10.245.0.0/16",  # EDIT: pods of cluster administration
    "192.168.2.0/24", # EDIT: the LAN, LoadBalancer addresses among it
  ]
}

variable "listen_port" {
  description = "UDP port of the tunnel: listen-port in ec2.toml."
  type        = number
  default     = 51820
}

variable "home_addresses" {
  description = "Where the tunnel may come from. Anywhere, as long as home has no fixed address; WireGuard answers nobody without a key."
  type        = set(string)
  default     = ["0.0.0.0/0"]
}

variable "architecture" {
  description = "amd64 or arm64: whichever packaging/deb/build was run on."
  type        = string
  default     = "amd64"

  validation {
    condition     = contains(["amd64", "arm64"], var.architecture)
    error_message = "amd64 or arm64."
  }
}

variable "instance_types" {
  description = "One core carries what a home line does; the small burstable ones do."
  type        = map(string)
  default = {
    amd64 = "t3.small"
    arm64 = "t4g.small"
  }
}
