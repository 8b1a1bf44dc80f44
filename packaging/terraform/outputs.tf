output "endpoint" {
  description = "For `endpoint` of the peer `aws` in home.toml, or behind the name that stands there."
  value       = "${aws_eip.gateway.public_ip}:${var.listen_port}"
}

output "address" {
  description = "Where to log in."
  value       = aws_eip.gateway.public_ip
}

output "network_interface" {
  description = "What the home prefixes point at."
  value       = aws_instance.gateway.primary_network_interface_id
}

output "from_home" {
  description = "Security group for the instances that home may reach."
  value       = aws_security_group.from_home.id
}
