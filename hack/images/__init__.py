"""Container images: what each holds and how it is built."""
