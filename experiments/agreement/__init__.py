"""What becomes of every play of tracking files."""
