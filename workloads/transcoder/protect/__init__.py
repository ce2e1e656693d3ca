"""Protect: encryption of what viewers are given, and the keys for it."""
