"""Channel: keys, policy, and the view on its active streams."""
