"""MPEG-TS in, FLV tags out: what SRT publishers send, as the transcoder takes it."""
