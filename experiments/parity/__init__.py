"""The published implementation and this package, property by property."""
