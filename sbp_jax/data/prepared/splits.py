"""Splits into train, validation and test: by game, never by play."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from sbp_jax.errors import InputError, share

SPLITS = ("train", "validation", "test")
Of = Literal["all", "held-out", "train", "validation", "test"]  # plays of a run; held-out: validation and test


def check_shares(test: float, validation: float) -> None:
    """Raise InputError unless the fractions of a configuration leave something to train on."""
    share("data.test", test)
    share("data.validation", validation)
    if not test + validation < 1:
        raise InputError(f"data.test: nothing is left to train on after it and {validation} for validation")


def split_games(games: Sequence[int], seed: int, fractions: Sequence[float]) -> dict[str, list[int]]:
    """Return the games of each split: shuffled by `seed`, then divided by `fractions`.

    Every split with a positive fraction gets at least one game; two games make up train and test only.

    Raises:
        InputError: there are fewer than two games.
    """
    distinct = sorted(set(games))
    if len(distinct) < 2:
        raise InputError(f"splits are by game, never by play: expected at least 2 games, got {len(distinct)}")
    if len(distinct) == 2:
        fractions = (0.5, 0.0, 0.5)
    return _deal(distinct, seed, fractions)


def split_by_season(
    games: Sequence[int], seasons: Sequence[int], test: Sequence[int], seed: int, fractions: Sequence[float]
) -> dict[str, list[int]]:
    """Return the games of each split: some seasons are the test, the other games are divided into train and validation.

    Args:
        games: game of each play.
        seasons: season of each play; negative if unknown.
        test: seasons of the test split.
        seed: determines which of the other games go to validation.
        fractions: fractions of train, validation and test; the first two, in proportion, divide the other games.

    Raises:
        InputError: a season of `test` has no play; no other season does; a game has plays of no known season, or of
            two.
    """
    seasons_of: dict[int, set[int]] = {}
    for game, season in zip(games, seasons, strict=True):
        seasons_of.setdefault(game, set()).update({season} if season >= 0 else ())
    for game, several in seasons_of.items():
        if len(several) != 1:
            what = f"the seasons {' and '.join(map(str, sorted(several)))}" if several else "no season"
            raise InputError(f"test_seasons: game {game} has plays of {what}; expected one")
    by_game = {game: single.pop() for game, single in seasons_of.items()}
    all_seasons = sorted(set(by_game.values()))
    for season in test:
        if season not in all_seasons:
            available = ", ".join(map(str, all_seasons))
            raise InputError(f"test_seasons: no play is of the season {season}; there are those of {available}")
    remaining = sorted(game for game, season in by_game.items() if season not in test)
    if not remaining:
        raise InputError("test_seasons: no season is left to train on")
    fraction = fractions[1] / (fractions[0] + fractions[1]) if fractions[1] else 0.0
    split = _deal(remaining, seed, (1.0 - fraction, fraction, 0.0))
    return {**split, "test": sorted(game for game, season in by_game.items() if season in test)}


@dataclass(frozen=True)
class Fold:
    """One fold of a cross-fitting: its games are the test, and across folds each game is in the test once.

    Attributes:
        number: index of the fold, from 0.
        count: number of folds; with seasons, the number of seasons.
        by: units of the folds: games in an order determined by `seed`, or complete seasons in chronological order.
        seed: determines the folds of the games, and which of the other games go to validation.
        validation: fraction of the other games that go to validation.

    Raises:
        InputError: there are fewer than two folds, or no such fold.
    """

    number: int
    count: int
    by: Literal["game", "season"] = "game"
    seed: int = 0
    validation: float = 0.15

    def __post_init__(self) -> None:
        if self.count < 2 or not 0 <= self.number < self.count:
            raise InputError(f"fold: expected 0 to {max(self.count - 1, 1)} of at least 2, got {self.number}")

    def games(self, games: Sequence[int], seasons: Sequence[int]) -> dict[str, list[int]]:
        """Return the games of each split; arguments as for `split_by_season`.

        Raises:
            InputError: there are fewer games than folds, or another number of seasons.
        """
        if self.by == "season":
            all_seasons = sorted({season for season in seasons if season >= 0})
            if len(all_seasons) != self.count:
                raise InputError(f"fold: expected {self.count} seasons, got {len(all_seasons)}")
            shares = (1.0 - self.validation, self.validation, 0.0)
            return split_by_season(games, seasons, [all_seasons[self.number]], self.seed, shares)
        distinct = sorted(set(games))
        if len(distinct) < self.count:
            raise InputError(f"fold: expected at least {self.count} games, one per fold, got {len(distinct)}")
        shuffled = np.random.default_rng(self.seed).permutation(distinct)
        test = shuffled[self.number :: self.count]
        remaining = sorted(set(distinct) - set(test.tolist()))
        split = _deal(remaining, self.seed, (1.0 - self.validation, self.validation, 0.0))
        return {**split, "test": sorted(test.tolist())}


def _deal(games: Sequence[int], seed: int, fractions: Sequence[float]) -> dict[str, list[int]]:
    shuffled = np.random.default_rng(seed).permutation(games).tolist()
    sizes = np.diff(np.round(np.cumsum([0.0, *fractions]) * len(games)).astype(int))
    for split in np.flatnonzero((sizes == 0) & (np.asarray(fractions) > 0)):
        if split == 0 or sizes.max() > 1:  # training has priority
            sizes[np.argmax(sizes)] -= 1
            sizes[split] += 1
    bounds = np.concatenate([[0], np.cumsum(sizes)])
    return {split: sorted(shuffled[bounds[i] : bounds[i + 1]]) for i, split in enumerate(SPLITS)}
