"""A data set with fewer training plays, for learning curves: the same validation and test plays for every size."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sbp_jax.data.plays import Sequences
from sbp_jax.digests import short_digest
from sbp_jax.errors import InputError
from sbp_jax.runs.datasets import Dataset


@dataclass(frozen=True)
class FirstGames(Dataset):
    """A data set whose training plays are those of its first games in a fixed random order.

    Each size includes the plays of the smaller ones.

    Attributes:
        inner: the complete data set.
        plays: number of training plays, to the nearest game; at least one game.
    """

    inner: Dataset
    plays: int

    @property
    def path(self) -> Path:
        """Path of the complete data set."""
        return self.inner.path

    @property
    def fingerprint(self) -> str:
        """Name of the content, from the complete data set and the number of plays."""
        return short_digest(self.inner.fingerprint, self.plays)

    def split(self, name: str) -> Sequences:
        """Return the first plays of "train", or all of "validation" or "test".

        Raises:
            InputError: the data set has fewer training plays.
        """
        plays = self.inner.split(name)
        return plays.select(_first_games(plays.game_id, self.plays)) if name == "train" else plays

    def account(self) -> str:
        """Return the account of the complete data set."""
        return self.inner.account()


def _first_games(games: np.ndarray, plays: int) -> np.ndarray:
    """Positions [n] of the plays of the first games, in the original order; `games` [N] is the game of each play."""
    if not 0 < plays <= len(games):
        raise InputError(f"expected 1 to {len(games):,} training plays, got {plays:,}")
    names, counts = np.unique(games, return_counts=True)
    order = np.random.default_rng(0).permutation(len(names))
    number = 1 + int(np.argmin(np.abs(np.cumsum(counts[order]) - plays)))
    return np.flatnonzero(np.isin(games, names[order[:number]]))
