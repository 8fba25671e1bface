"""From the outcome's place in its distribution to a quarterback's score."""

from sbp_jax.scoring.aggregate import leaderboard
from sbp_jax.scoring.play import mid_pit, normal_score

__all__ = ["leaderboard", "mid_pit", "normal_score"]
