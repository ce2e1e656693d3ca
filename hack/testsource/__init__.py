"""The moving test source: a picture with sound and a clock that a person and a program can read."""
