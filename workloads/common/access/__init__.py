"""Access: who may watch a stream. Tokens, visibility, countries, origins and revocation, for every way of playback."""
