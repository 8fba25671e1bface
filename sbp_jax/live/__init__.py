"""Scores while a play unfolds."""

from sbp_jax.live.scorer import Distribution, LiveScorer, Score, Summary

__all__ = ["Distribution", "LiveScorer", "Score", "Summary"]
