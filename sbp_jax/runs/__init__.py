"""A training on disk, from its configuration to its restoration."""
