"""Fuzzing of everything that reads files of strangers (`make fuzz`)."""
