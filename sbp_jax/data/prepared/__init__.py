"""Prepared data sets: built once, read in any order."""
