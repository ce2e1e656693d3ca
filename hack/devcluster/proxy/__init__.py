"""Service load balancer and Ingress reverse proxy in user space."""
