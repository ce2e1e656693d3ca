"""Who people are: sessions for guests, and the public keys that everybody verifies tokens with."""
