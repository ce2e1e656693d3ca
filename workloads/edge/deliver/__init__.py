"""Deliver: what paths name, where their bytes come from, and how long they are kept."""
