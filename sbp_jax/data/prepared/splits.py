"""Which games train, validate and test: splits are by game, never by play."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from sbp_jax.errors import InputError, share

SPLITS = ("train", "validation", "test")
Of = Literal["all", "held-out", "train", "validation", "test"]  # plays of a run; held out: of validation and test


def check_shares(test: float, validation: float) -> None:
    """Raise an InputError unless the shares of a configuration leave something to train on."""
    share("data.test", test)
    share("data.validation", validation)
    if not test + validation < 1:
        raise InputError(f"data.test: nothing is left to train on beside it and {validation} for validation")


def split_games(games: Sequence[int], seed: int, fractions: Sequence[float]) -> dict[str, list[int]]:
    """Return the games of each split: shuffled by `seed`, then dealt out by `fractions`.

    Every split with a share gets at least one game; with two games there are train and test only.

    Raises:
        InputError: fewer than two games.
    """
    ordered = sorted(set(games))
    if len(ordered) < 2:
        raise InputError(f"splits are by game, never by play: expected at least 2 games, got {len(ordered)}")
    if len(ordered) == 2:
        fractions = (0.5, 0.0, 0.5)
    return _deal(ordered, seed, fractions)


def split_by_season(
    games: Sequence[int], seasons: Sequence[int], test: Sequence[int], seed: int, fractions: Sequence[float]
) -> dict[str, list[int]]:
    """Return the games of each split: those of some seasons test, the others are dealt out for train and validation.

    Args:
        games: the game of each play.
        seasons: the season of each play; negative where it is not known.
        test: seasons that test.
        seed: decides which of the other games validate.
        fractions: shares of train, validation and test; the first two, in proportion, are those of the other games.

    Raises:
        InputError: no play is of a season of `test`; all are; a game has plays of no known season, or of two.
    """
    told: dict[int, set[int]] = {}
    for game, season in zip(games, seasons, strict=True):
        told.setdefault(game, set()).update({season} if season >= 0 else ())
    for game, found in told.items():
        if len(found) != 1:
            what = f"the seasons {' and '.join(map(str, sorted(found)))}" if found else "no season"
            raise InputError(f"test_seasons: game {game} has plays of {what}; expected one")
    by_game = {game: found.pop() for game, found in told.items()}
    known = sorted(set(by_game.values()))
    for season in test:
        if season not in known:
            found = ", ".join(map(str, known))
            raise InputError(f"test_seasons: no play is of the season {season}; there are those of {found}")
    left = sorted(game for game, season in by_game.items() if season not in test)
    if not left:
        raise InputError("test_seasons: no season is left to train on")
    share = fractions[1] / (fractions[0] + fractions[1]) if fractions[1] else 0.0
    split = _deal(left, seed, (1.0 - share, share, 0.0))
    return {**split, "test": sorted(game for game, season in by_game.items() if season in test)}


@dataclass(frozen=True)
class Fold:
    """One fold of a cross-fitting: its games test, and with the other folds each game tests once.

    Attributes:
        number: which, from 0.
        count: of folds; with seasons, how many seasons there are.
        by: what folds are made of: games that `seed` deals out, or whole seasons in order.
        seed: of the dealing, and of which of the other games validate.
        validation: share of the other games that validate.

    Raises:
        InputError: fewer than two folds, or no such one.
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
            InputError: fewer games than folds, or another number of seasons.
        """
        if self.by == "season":
            known = sorted({season for season in seasons if season >= 0})
            if len(known) != self.count:
                raise InputError(f"fold: expected {self.count} seasons, got {len(known)}")
            shares = (1.0 - self.validation, self.validation, 0.0)
            return split_by_season(games, seasons, [known[self.number]], self.seed, shares)
        ordered = sorted(set(games))
        if len(ordered) < self.count:
            raise InputError(f"fold: expected at least {self.count} games, one a fold, got {len(ordered)}")
        dealt = np.random.default_rng(self.seed).permutation(ordered)
        own = dealt[self.number :: self.count]
        left = sorted(set(ordered) - set(own.tolist()))
        split = _deal(left, self.seed, (1.0 - self.validation, self.validation, 0.0))
        return {**split, "test": sorted(own.tolist())}


def _deal(ordered: Sequence[int], seed: int, fractions: Sequence[float]) -> dict[str, list[int]]:
    shuffled = np.random.default_rng(seed).permutation(ordered).tolist()
    sizes = np.diff(np.round(np.cumsum([0.0, *fractions]) * len(ordered)).astype(int))
    for split in np.flatnonzero((sizes == 0) & (np.asarray(fractions) > 0)):
        if split == 0 or sizes.max() > 1:  # training goes first
            sizes[np.argmax(sizes)] -= 1
            sizes[split] += 1
    bounds = np.concatenate([[0], np.cumsum(sizes)])
    return {split: sorted(shuffled[bounds[i] : bounds[i + 1]]) for i, split in enumerate(SPLITS)}
