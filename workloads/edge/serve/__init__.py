"""Serve: what viewers ask an edge for, path by path."""
