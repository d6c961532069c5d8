"""Kills, full and broken disks, little memory: what commands make of them."""
