"""Builders of a Channel's children: one small pure function each."""
