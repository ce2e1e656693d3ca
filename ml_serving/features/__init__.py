"""What models know of viewers and products: defined once, kept in Redis, fed by events."""
