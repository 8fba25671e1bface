"""Ratings of quarterbacks against winning and true skill."""
