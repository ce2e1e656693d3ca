"""The room of one live stream over WebSocket: chat, pins, counts, sale events and the buy button.

Frames are built once a room and the same bytes go to every socket; no socket is ever awaited, so a slow viewer costs
only itself.
"""
