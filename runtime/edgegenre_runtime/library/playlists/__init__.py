"""Which tracks of a library go together, and the playlists that name them."""
