"""Probe: watches live streams as a viewer does and tells how late they are."""
