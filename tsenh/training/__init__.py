"""The compiled loop, and run folders from the first epoch to the last."""
