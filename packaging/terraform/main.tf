# The AWS side of the site homelab-aws: one instance with the gateway on it, and the VPC's routes to it. Installing the gateway
# is docs/install-ec2.md; there is no user data, since the package is in no public repository.
#
# MTU: interfaces in a VPC have 9001. The tunnel's own does not follow that (1420, unless ec2.toml has `mtu`), and TCP is
# clamped in the tunnel. Other protocols need the ICMP "fragmentation needed" that the gateway sends: security.tf lets it in.

data "aws_ami" "debian" {
  most_recent = true
  owners      = ["136693071363"] # Debian

  filter {
    name   = "name"
    values = ["debian-12-${var.architecture}-*"]
  }
  filter {
    name   = "virtualization-type"
    values = ["hvm"]
  }
}

resource "aws_instance" "gateway" {
  ami                    = data.aws_ami.debian.id
  instance_type          = var.instance_types[var.architecture]
  subnet_id              = var.subnet_id
  private_ip             = var.private_ip
  key_name               = var.key_name
  vpc_security_group_ids = [aws_security_group.gateway.id]

  # AWS would drop, without counting them, packets whose source or destination is not the instance: all of them.
  source_dest_check = false

  # The credentials of the instance only to who can PUT a token, and not beyond one hop: forwarded packets get none. There is
  # no instance profile: the gateway asks AWS nothing.
  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }

  root_block_device {
    volume_type = "gp3"
    encrypted   = true # the tunnel's private key is on it
  }

  # A newer image must not replace the gateway at the next apply.
  lifecycle {
    ignore_changes = [ami]
  }

  tags = { Name = "vpngw" }
}

# What home dials: the endpoint in home.toml, by a name of yours or by this address.
resource "aws_eip" "gateway" {
  domain   = "vpc"
  instance = aws_instance.gateway.id
  tags     = { Name = "vpngw" }
}

# Routes to home, static: vpngw does not write route tables yet (`[aws]` is refused by `vpngw check`). They stay while the
# tunnel is down; the gateway then sends the packets on to its own subnet's router, which drops them, unless its route table
# is among these: see variables.tf. Prefixes as a whole, not one per node: a route table holds 500 routes.
resource "aws_route" "home" {
  for_each = {
    for pair in setproduct(var.route_table_ids, var.home_prefixes) : "${pair[0]} ${pair[1]}" => pair
  }

  route_table_id         = each.value[0]
  destination_cidr_block = each.value[1]
  network_interface_id   = aws_instance.gateway.primary_network_interface_id
}
