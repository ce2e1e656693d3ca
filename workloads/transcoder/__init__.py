"""Transcoder: one encode of one stream, cut into parts and segments, and the origin that serves them."""
