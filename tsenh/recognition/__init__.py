"""Whose face is it: verification."""
