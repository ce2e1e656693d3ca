"""A publication on its way to a transcoder: where it goes, how it gets there, what survives a lost transcoder."""
