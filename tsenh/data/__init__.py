"""Feature sets: which there are, on disk, in memory, block by block."""
