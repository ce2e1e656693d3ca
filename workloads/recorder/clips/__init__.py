"""Clips: a piece of a recording as one MP4 file, without encoding anything anew."""
