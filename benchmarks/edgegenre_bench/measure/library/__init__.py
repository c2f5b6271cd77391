"""What a music library costs: scanning it, and searching in it."""
