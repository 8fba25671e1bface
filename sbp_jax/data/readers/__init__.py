"""A file of any format to the canonical table of plays."""
