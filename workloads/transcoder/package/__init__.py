"""Package: frames into parts, segments and playlists."""
