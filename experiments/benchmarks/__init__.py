"""How fast it is, and what survives a kill; nothing of accuracy."""
