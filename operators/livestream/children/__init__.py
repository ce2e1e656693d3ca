"""Builders of a LiveStream's children: one small pure function each."""
