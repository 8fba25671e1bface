"""Live scoring of unfolding plays."""

from sbp_jax.live.scorer import Distribution, LiveScorer, Score, Summary

__all__ = ["Distribution", "LiveScorer", "Score", "Summary"]
