"""Transcoder pools: warm workers in the platform's namespace, and the streams' places on them."""
