"""Runs on disk: train from a configuration, restore, score and compare."""
