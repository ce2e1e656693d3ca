"""Playout: shows the programme of a Linear channel as one publication that never ends."""
