"""The steps, one file each, append-only."""
