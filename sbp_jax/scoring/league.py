"""The reference league for play scores: variation between passers, their games and single plays, and the scale.

The normal score of a play of passer-season a in game g is modeled with nested random effects:

    z = m + p_a + q_ag + e        variances: tau^2 of p, gamma^2 of q, sigma^2 of e

docs/explanation/passing-score.md states the estimators, the reliability R of a group's mean, the shrunk mean
v = m + R (mean - m), and the passing score 50 + 49 Phi((v - m) / s).
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import polars as pl
from scipy.special import ndtr

from sbp_jax.errors import InputError
from sbp_jax.scoring.play import MIN_SCORE, SCORE_RANGE

Level = Literal["play", "drive", "game", "season", "career"]
LEVELS: tuple[Level, ...] = get_args(Level)
FORMAT = 1


@dataclass(frozen=True)
class League:
    """Mean and variances of play scores, and the scale of each level.

    Attributes:
        mean: m, the mean of all plays.
        passers: tau^2.
        games: gamma^2.
        plays: sigma^2.
        spreads: s by level.
        counted: number of plays in the fit.
    """

    mean: float
    passers: float
    games: float
    plays: float
    spreads: Mapping[str, float] = field(default_factory=dict)
    counted: int = 0

    def __post_init__(self) -> None:
        numbers = {"mean": self.mean, "passers": self.passers, "games": self.games, "plays": self.plays}
        for name, value in {**numbers, **{f"spreads.{name}": value for name, value in self.spreads.items()}}.items():
            if not np.isfinite(value) or (value < 0 and name != "mean"):
                raise InputError(f"league: {name}: expected a finite number of at least 0, got {value}")
        if self.counted < 0:
            raise InputError(f"league: counted: expected at least 0 plays, got {self.counted}")

    @classmethod
    def fit(cls, plays: pl.DataFrame) -> "League":
        """Fit the league to scored plays: one row per play, `passer_id, game_id, score`, and `season` if it is known.

        Each season of a passer counts as a separate passer. Variation that cannot be separated is assigned to the
        coarser level: if no passer has two games, the variance between games is 0.

        Raises:
            InputError: fewer than two plays, or a score that is not a finite number.
        """
        missing = [name for name in ("passer_id", "game_id", "score") if name not in plays.columns]
        if missing:
            raise InputError(f"plays: no column {missing[0]!r}; there are {', '.join(plays.columns)}")
        if len(plays) < 2:
            raise InputError(f"plays: expected at least two with finite scores, got {len(plays)}")
        check_scores(plays)
        score = plays["score"].cast(pl.Float64).to_numpy()
        keys = ["passer_id", *(["season"] if "season" in plays.columns else [])]
        table = plays.select(*keys, "game_id", score=pl.Series(score))
        cells = table.group_by(*keys, "game_id").agg(n=pl.len().cast(pl.Int64), total=pl.col("score").sum())
        passers = cells.group_by(keys).agg(
            plays=pl.col("n").sum(), squares=(pl.col("n") ** 2).sum(), total=pl.col("total").sum(), games=pl.len()
        )
        league = cls(float(score.mean()), *_components(score, cells, passers), counted=len(score))
        return replace(league, spreads={level: float(np.sqrt(league.truth(level))) for level in LEVELS})

    def truth(self, level: Level) -> float:
        """Return the variance of the truth of groups at that level."""
        if level == "play":
            return self.passers + self.games + self.plays
        return self.passers + (self.games if level in ("drive", "game") else 0.0)

    def sampling(self, level: Level, plays: np.ndarray, squares: np.ndarray) -> np.ndarray:
        """Return the variance of a group's mean score about its truth.

        Args:
            level: level of the group.
            plays: n of each group [groups].
            squares: sum of the squared numbers of plays of the group's games [groups].
        """
        plays = np.asarray(plays, float)
        if level == "play":
            return np.zeros(len(plays))
        clustered = 0.0 if level in ("drive", "game") else self.games * np.asarray(squares, float) / plays**2
        return clustered + self.plays / plays

    def reliability(self, level: Level, plays: np.ndarray, squares: np.ndarray) -> np.ndarray:
        """Return R of each group [groups], in [0, 1]: 0 if passers do not differ at all."""
        truth, about = self.truth(level), self.sampling(level, plays, squares)
        total = truth + about
        return np.where(total > 0, truth / np.where(total > 0, total, 1.0), 0.0)

    def passing_score(self, value: np.ndarray, level: Level, center: float | None = None) -> np.ndarray:
        """Return shrunk means on the scale from 50 to 99; 74.5 for all if the league's groups do not differ.

        Args:
            value: v of each group [groups].
            level: level of the spread; for drives in a league saved without their spread, the spread of games.
            center: replacement for the league's average; by default its mean.

        Raises:
            InputError: the league has no spread of that level.
        """
        name = "game" if level == "drive" and level not in self.spreads else level
        if name not in self.spreads:
            raise InputError(f"league: no spread of the level {name!r}; there are {', '.join(self.spreads)}")
        spread, away = self.spreads[name], np.asarray(value, float) - (self.mean if center is None else center)
        return MIN_SCORE + SCORE_RANGE * (ndtr(away / spread) if spread > 0 else np.full(len(away), 0.5))

    def save(self, path: Path) -> None:
        """Write the league as JSON."""
        path.parent.mkdir(parents=True, exist_ok=True)
        content = {"format": FORMAT, **asdict(self)}
        path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> "League":
        """Read a league written by `save`; InputError if the file is not a league or has another format."""
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise InputError(f"{path}: cannot be read as a league ({error})") from error
        if not isinstance(content, dict) or content.pop("format", None) != FORMAT:
            raise InputError(f"{path}: expected a league of format {FORMAT}")
        try:
            numbers: dict[str, Any] = {name: float(content[name]) for name in ("mean", "passers", "games", "plays")}
            spreads = {str(name): float(value) for name, value in content["spreads"].items()}
            return cls(**numbers, spreads=spreads, counted=int(content["counted"]))
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise InputError(f"{path}: expected the numbers of a league ({error})") from error


def check_scores(plays: pl.DataFrame) -> None:
    """Check that every score is a finite number; InputError with the first row where it is not."""
    score = plays["score"]
    if not score.dtype.is_numeric():
        raise InputError(f"plays: score: expected numbers, got {score.dtype}")
    bad = ~score.cast(pl.Float64).is_finite().fill_null(value=False)
    if bad.any():
        row = int(bad.arg_true()[0])
        raise InputError(f"plays: score: expected a finite number in every row, got {score[row]} in row {row}")


def _components(score: np.ndarray, cells: pl.DataFrame, passers: pl.DataFrame) -> tuple[float, float, float]:
    """tau^2, gamma^2, sigma^2; `cells` are passers' games."""
    if np.ptp(score) <= 1e-9 * np.abs(score).max():  # only rounding errors are left
        return 0.0, 0.0, 0.0
    n, total = cells["n"].to_numpy().astype(float), cells["total"].to_numpy()
    size, squares = passers["plays"].to_numpy().astype(float), passers["squares"].to_numpy().astype(float)
    count, mean = float(len(score)), float(score.mean())
    within = float(np.sum((score - mean) ** 2) - np.sum(n * (total / n - mean) ** 2))
    means = passers["total"].to_numpy() / size
    between = float(np.sum(size * (means - mean) ** 2))
    among = float(np.sum(n * (total / n - mean) ** 2)) - between
    free = count - len(cells)
    plays = within / free if free > 0 else float(score.var())
    inner, outer = float(np.sum(squares / size)), float(np.sum(squares)) / count
    spare, nested = len(cells) - len(passers), count - inner
    games = max((among - spare * plays) / nested, 0.0) if spare > 0 and nested > 0 else 0.0
    alone = count - float(np.sum(size**2)) / count
    if len(passers) < 2 or alone <= 0:
        return 0.0, games, plays
    about = plays / size + games * squares / size**2
    if len(passers) > 3 and about.min() > 0:
        return _expected(means, about, size), games, plays
    expected = (len(passers) - 1) * plays + (inner - outer) * games
    return max((between - expected) / alone, 0.0), games, plays


def _expected(mean: np.ndarray, about: np.ndarray, size: np.ndarray) -> float:
    """tau^2 from the means of at least four passers, their variances about the truth, and their numbers of plays.

    The value at which the plays' mean reliability equals its posterior expectation.
    """
    spread = float(np.sum((mean - mean.mean()) ** 2)) + about.max()
    between = np.geomspace(
        1e-9 * about.min(), 1e9 * spread, 4000
    )  # for four means, the posterior falls off as its 3/2 power
    log_weight = np.log(between)  # flat prior on a logarithmic grid
    mean_reliability = np.zeros(len(between))
    for start in range(0, len(between), 100):
        part = slice(start, start + 100)
        precision = 1 / (about + between[part, None])
        total = precision.sum(axis=1)
        middle = precision @ mean / total
        away = (precision * (mean - middle[:, None]) ** 2).sum(axis=1)
        log_weight[part] += (np.log(precision).sum(axis=1) - np.log(total) - away) / 2
        mean_reliability[part] = between[part] * (precision @ size) / size.sum()
    weight = np.exp(log_weight - log_weight.max())
    # reliability increases with tau^2
    return float(np.exp(np.interp(np.average(mean_reliability, weights=weight), mean_reliability, np.log(between))))
