"""`haat`: the user's hand on the platform."""
