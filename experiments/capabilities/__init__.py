"""What each approach can do, measured."""
