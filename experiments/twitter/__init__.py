"""Counts of mentions, one step ahead."""
