"""The commands of `haat` that talk to a cluster, one file a subject."""
