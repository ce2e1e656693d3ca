"""Encode: which rungs a source gets, and the ffmpeg that makes them."""
