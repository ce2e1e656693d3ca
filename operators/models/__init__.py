"""Models of a namespace: all its streams share one RayService."""
