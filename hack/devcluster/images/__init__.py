"""Container images that have a local command in their place."""
