"""Integer codes to bytes and back, and the file that holds them."""
