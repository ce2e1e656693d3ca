"""The intelligence plane: features, models and the Ray Serve applications that answer with them."""
