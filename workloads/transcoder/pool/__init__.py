"""A worker of a transcoder pool: a warm pod that hosts the streams which the operators allocate to it."""
