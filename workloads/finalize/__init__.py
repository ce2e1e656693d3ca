"""Finalize: closes the books of one broadcast after its last viewer has left."""
