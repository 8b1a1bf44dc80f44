# Rules are by CIDR, never by group: a rule that names a group matches the addresses of its members, and a forwarded packet
# has the address of a pod.

# The gateway's interface. It sees the tunnel, and every packet between the VPC and home once more, unwrapped.
resource "aws_security_group" "gateway" {
  name        = "vpngw"
  description = "The gateway to home"
  vpc_id      = var.vpc_id
  tags        = { Name = "vpngw" }
}

resource "aws_vpc_security_group_ingress_rule" "tunnel" {
  for_each = var.home_addresses

  security_group_id = aws_security_group.gateway.id
  description       = "WireGuard"
  cidr_ipv4         = each.value
  ip_protocol       = "udp"
  from_port         = var.listen_port
  to_port           = var.listen_port
}

# What the VPC sends to home enters the gateway here with a source in the VPC: every protocol, all ports. Home's own packets
# leave here, with a source at home; they pass as egress, and what the VPC answers belongs to them.
resource "aws_vpc_security_group_ingress_rule" "vpc_to_home" {
  for_each = var.vpc_cidrs

  security_group_id = aws_security_group.gateway.id
  description       = "From the VPC to home"
  cidr_ipv4         = each.value
  ip_protocol       = "-1"
}

resource "aws_vpc_security_group_ingress_rule" "ssh" {
  for_each = var.admin_cidrs

  security_group_id = aws_security_group.gateway.id
  description       = "SSH"
  cidr_ipv4         = each.value
  ip_protocol       = "tcp"
  from_port         = 22
  to_port           = 22
}

# Home's packets to the VPC, the tunnel, name resolution, updates.
resource "aws_vpc_security_group_egress_rule" "all" {
  security_group_id = aws_security_group.gateway.id
  description       = "Everything"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "-1"
}

# For the instances that home may reach: add it to theirs.
resource "aws_security_group" "from_home" {
  name        = "from-home"
  description = "Reachable from home"
  vpc_id      = var.vpc_id
  tags        = { Name = "from-home" }
}

resource "aws_vpc_security_group_ingress_rule" "from_home" {
  for_each = var.home_prefixes

  security_group_id = aws_security_group.from_home.id
  description       = "From home" # narrow it to the ports that are meant
  cidr_ipv4         = each.value
  ip_protocol       = "-1"
}

# An instance sends packets of up to 9001 octets, the tunnel carries 1420: what is not TCP learns it by this message alone.
resource "aws_vpc_security_group_ingress_rule" "fragmentation_needed" {
  security_group_id = aws_security_group.from_home.id
  description       = "Fragmentation needed, from the gateway"
  cidr_ipv4         = "${var.private_ip}/32"
  ip_protocol       = "icmp"
  from_port         = 3 # type: destination unreachable
  to_port           = 4 # code: fragmentation needed
}
