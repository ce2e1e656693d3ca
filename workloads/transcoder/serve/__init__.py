"""Serve: what edges, hosts and the other planes ask a transcoder for."""
