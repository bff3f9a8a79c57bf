"""What a run is made of: its loop, an update, ranks, saving, what it tells."""
