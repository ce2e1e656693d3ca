"""Limit: how many may watch, how much they may take, and whom an edge that is at its end turns away."""
