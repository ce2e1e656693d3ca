"""Ingest: takes a publisher's RTMP, checks its stream key, and forwards the media as FLV to the stream's transcoder."""
