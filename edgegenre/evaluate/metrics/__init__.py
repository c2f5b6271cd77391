"""What is right, and how often: for one label a track, for several, and for a hierarchy."""
