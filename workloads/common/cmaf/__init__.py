"""Fragmented MP4 as the planes pass it on: boxes, codec strings, init segments and fragments."""
