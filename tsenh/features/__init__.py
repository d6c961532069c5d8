"""Feature codecs: one file for each system, and what they share."""
