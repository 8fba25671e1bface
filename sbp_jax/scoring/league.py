"""The league that play scores are judged against: how much passers, their games and single plays differ, and the scale.

The normal score z of a play of passer-season a in game g is taken as

    z = m + p_a + q_ag + e        variances: tau^2 of p, gamma^2 of q, sigma^2 of e

a nested random-effects distribution. sigma^2 and gamma^2 are Henderson's first estimates: the mean squares of the
nested analysis of variance set equal to their expectations, a negative one taken as 0 (Searle, Casella and McCulloch
1992, chapter 5). tau^2 is that by which the plays' mean reliability R is its expectation, given the restricted
likelihood of the passers' means and a flat prior of tau^2 (after Morris 1983, Journal of the American Statistical
Association 78): that of least squares is 0 in every other league whose passers differ little, as if they were known to
be alike. Of fewer than four passers, where the posterior is no distribution, it is Henderson's.
What is true of a group of plays, and how far its mean z is from that, follow at each level:

| level | what is true of a group | variance of the truth | variance of the mean about it |
| --- | --- | --- | --- |
| play | z itself | tau^2 + gamma^2 + sigma^2 | 0 |
| drive, game | p + q | tau^2 + gamma^2 | sigma^2 / n |
| season, career | p | tau^2 | gamma^2 sum_g (n_g / n)^2 + sigma^2 / n |

The reliability of a group is R = truth / (truth + mean about it), the squared correlation of its mean with its truth;
its mean, shrunk toward the league's, is v = m + R (mean - m) (James-Stein, empirical Bayes). The passing score

    50 + 49 Phi((v - m) / s)

is on the article's scale, with s the deviation of the truth of groups of that level: the league's average is 74.5, who
is truly a deviation above it 91.2, and a group that says little lies near the middle. m, the variances and s are fixed
once and saved, so that scores of later games compare.
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
    """Means and variances of play scores, and the scale of each level.

    Attributes:
        mean: m, of all plays.
        passers: tau^2.
        games: gamma^2.
        plays: sigma^2.
        spreads: s by level.
        counted: plays that it was measured on.
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
        """The league of scored plays: one row per play, `passer_id, game_id, score`, and `season` where it is known.

        A passer's seasons are passers of their own. What the plays cannot tell apart is told of the coarser one: where
        no passer has two games, games differ by 0.

        Raises:
            InputError: fewer than two plays, or a score that is no finite number.
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
        found = cls(float(score.mean()), *_components(score, cells, passers), counted=len(score))
        return replace(found, spreads={level: float(np.sqrt(found.truth(level))) for level in LEVELS})

    def truth(self, level: Level) -> float:
        """Variance of what is true of a group of that level."""
        if level == "play":
            return self.passers + self.games + self.plays
        return self.passers + (self.games if level in ("drive", "game") else 0.0)

    def sampling(self, level: Level, plays: np.ndarray, squares: np.ndarray) -> np.ndarray:
        """Variance of a group's mean score about what is true of it.

        Args:
            level: of the group.
            plays: n of each group [groups].
            squares: sum over its games of their squared numbers of plays [groups].
        """
        plays = np.asarray(plays, float)
        if level == "play":
            return np.zeros(len(plays))
        clustered = 0.0 if level in ("drive", "game") else self.games * np.asarray(squares, float) / plays**2
        return clustered + self.plays / plays

    def reliability(self, level: Level, plays: np.ndarray, squares: np.ndarray) -> np.ndarray:
        """R of each group [groups], in [0, 1]: 0 where passers do not differ at all."""
        truth, about = self.truth(level), self.sampling(level, plays, squares)
        total = truth + about
        return np.where(total > 0, truth / np.where(total > 0, total, 1.0), 0.0)

    def passing_score(self, value: np.ndarray, level: Level, center: float | None = None) -> np.ndarray:
        """Shrunk means on the scale from 50 to 99; 74.5 for all where the league's groups do not differ.

        Args:
            value: v of each group [groups].
            level: whose spread is taken; of a league saved without one for drives, that of a game.
            center: what stands for the league's average; by default its mean.

        Raises:
            InputError: the league has no spread of that level.
        """
        name = "game" if level == "drive" and level not in self.spreads else level
        if name not in self.spreads:
            raise InputError(f"league: no spread of the level {name!r}; there are {', '.join(self.spreads)}")
        spread, away = self.spreads[name], np.asarray(value, float) - (self.mean if center is None else center)
        return MIN_SCORE + SCORE_RANGE * (ndtr(away / spread) if spread > 0 else np.full(len(away), 0.5))

    def save(self, path: Path) -> None:
        """Write it as JSON."""
        path.parent.mkdir(parents=True, exist_ok=True)
        said = {"format": FORMAT, **asdict(self)}
        path.write_text(json.dumps(said, indent=1) + "\n")

    @classmethod
    def load(cls, path: Path) -> "League":
        """Read what `save` wrote; InputError where the file is none or of another format."""
        try:
            said = json.loads(path.read_text())
        except (OSError, ValueError, RecursionError) as error:
            raise InputError(f"{path}: cannot be read as a league ({error})") from error
        if not isinstance(said, dict) or said.pop("format", None) != FORMAT:
            raise InputError(f"{path}: expected a league of format {FORMAT}")
        try:
            numbers: dict[str, Any] = {name: float(said[name]) for name in ("mean", "passers", "games", "plays")}
            spreads = {str(name): float(value) for name, value in said["spreads"].items()}
            return cls(**numbers, spreads=spreads, counted=int(said["counted"]))
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise InputError(f"{path}: expected the numbers of a league ({error})") from error


def check_scores(plays: pl.DataFrame) -> None:
    """See that every play has a score that is a finite number; InputError with the first row that has none."""
    score = plays["score"]
    if not score.dtype.is_numeric():
        raise InputError(f"plays: score: expected numbers, got {score.dtype}")
    bad = ~score.cast(pl.Float64).is_finite().fill_null(value=False)
    if bad.any():
        row = int(bad.arg_true()[0])
        raise InputError(f"plays: score: expected a finite number in every row, got {score[row]} in row {row}")


def _components(score: np.ndarray, cells: pl.DataFrame, passers: pl.DataFrame) -> tuple[float, float, float]:
    """tau^2, gamma^2, sigma^2; `cells` are passers' games."""
    if np.ptp(score) <= 1e-9 * np.abs(score).max():  # what is left is rounding
        return 0.0, 0.0, 0.0
    n, total = cells["n"].to_numpy().astype(float), cells["total"].to_numpy()
    size, squares = passers["plays"].to_numpy().astype(float), passers["squares"].to_numpy().astype(float)
    count, mean = float(len(score)), float(score.mean())
    within = float(np.sum((score - mean) ** 2) - np.sum(n * (total / n - mean) ** 2))
    own = passers["total"].to_numpy() / size
    between = float(np.sum(size * (own - mean) ** 2))
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
        return _expected(own, about, size), games, plays
    expected = (len(passers) - 1) * plays + (inner - outer) * games
    return max((between - expected) / alone, 0.0), games, plays


def _expected(mean: np.ndarray, about: np.ndarray, size: np.ndarray) -> float:
    """tau^2 of passers' means [passers], at least four, by these means' variances about the truth and numbers of plays.

    That by which the plays' mean reliability is the posterior's.
    """
    spread = float(np.sum((mean - mean.mean()) ** 2)) + about.max()
    between = np.geomspace(1e-9 * about.min(), 1e9 * spread, 4000)  # four means' posterior falls off as its 3/2 power
    log_weight = np.log(between)  # the flat prior's, of steps in the logarithm
    kept = np.zeros(len(between))
    for start in range(0, len(between), 100):
        part = slice(start, start + 100)
        precision = 1 / (about + between[part, None])
        total = precision.sum(axis=1)
        middle = precision @ mean / total
        away = (precision * (mean - middle[:, None]) ** 2).sum(axis=1)
        log_weight[part] += (np.log(precision).sum(axis=1) - np.log(total) - away) / 2
        kept[part] = between[part] * (precision @ size) / size.sum()
    weight = np.exp(log_weight - log_weight.max())
    # reliability rises with tau^2
    return float(np.exp(np.interp(np.average(kept, weights=weight), kept, np.log(between))))
