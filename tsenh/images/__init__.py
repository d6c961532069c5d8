"""Faces as feature and texture in one file: networks, layers, the codec."""
