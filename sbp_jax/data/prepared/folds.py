"""Plays of a prepared data set in the splits of a cross-fitting, instead of the data set's own."""

from pathlib import Path

import numpy as np

from sbp_jax.data.plays import Plays
from sbp_jax.data.prepared.dataset import describe, load
from sbp_jax.data.prepared.splits import SPLITS, Fold
from sbp_jax.errors import InputError


def load_every(path: str | Path) -> Plays:
    """Return the plays of all splits of the data set at `path`; InputError as `dataset.load`."""
    return Plays.concatenate([load(path, split) for split in SPLITS if describe(path).plays[split]])


def fold_of(plays: Plays, fold: Fold, split: str) -> Plays:
    """Return the plays of a split of a fold, of all plays; InputError as `Fold.games`, or no such split."""
    if split not in SPLITS:
        raise InputError(f"split: expected one of {', '.join(SPLITS)}, got {split!r}")
    games = fold.games(plays.game_id.tolist(), plays.info["season"].tolist())
    return plays.select(np.isin(plays.game_id, games[split]))


def load_fold(path: str | Path, fold: Fold, split: str) -> Plays:
    """Return the plays of a split of a fold of the data set at `path`; InputError as `load_every` and `fold_of`."""
    return fold_of(load_every(path), fold, split)
