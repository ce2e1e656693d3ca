"""Measure: what operators and owners learn about delivery."""
