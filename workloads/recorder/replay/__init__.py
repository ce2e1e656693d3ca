"""What viewers fetch: playlists, media, pictures and events of recordings."""
