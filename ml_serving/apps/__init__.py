"""Ray Serve applications, one module each, with a `build(args)` that the serving configuration names."""
