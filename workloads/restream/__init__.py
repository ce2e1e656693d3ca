"""Restream: copies of a live stream for other platforms, each with its own connection and its own failures."""
