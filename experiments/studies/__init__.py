"""What the paper leaves open, measured on held-out people."""
