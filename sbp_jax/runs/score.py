"""Score the plays of a run or a cross-fitting, and join the known facts of each play."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl
from scipy.special import ndtri

from sbp_jax.config import DataConfig
from sbp_jax.data.facts import GAIN, listed_facts, with_listed
from sbp_jax.data.features import read_plays
from sbp_jax.data.plays import Sequences
from sbp_jax.data.prepared.splits import SPLITS, Of
from sbp_jax.data.readers.files import Frame, Source, places
from sbp_jax.data.readers.rules import Rules, in_yards
from sbp_jax.errors import InputError
from sbp_jax.runs.crossfit import CrossFit, is_crossfit, load_crossfit
from sbp_jax.runs.run import Run, load_run
from sbp_jax.scoring import LEAGUE_PATH, League, aggregate
from sbp_jax.scoring.aggregation import BOOTSTRAPS, group_columns
from sbp_jax.scoring.completion import expected_completion
from sbp_jax.scoring.ratings import rated
from sbp_jax.scoring.splits import SPLITS as NAMED_SPLITS
from sbp_jax.scoring.splits import select_plays

FOLDER = LEAGUE_PATH.parent
# predictors of a completion; those that are known are used
COMPLETION_COLUMNS = ("air_yards", "down", "distance", "yards_to_goal", "time_to_throw", "pressure")


@dataclass(frozen=True)
class Target:
    """A run, or the runs of a cross-fitting, that scores plays."""

    path: Path
    runs: tuple[Run, ...]
    cross: CrossFit | None

    @property
    def data(self) -> DataConfig:
        """Data configuration of its training."""
        data = self.runs[0].config.data
        if not isinstance(data, DataConfig):
            raise InputError(f"{self.path}: trained on time series; expected a run trained on plays")
        return data


def open_target(path: Path, trust: bool = False) -> Target:
    """Open a run or a cross-fitting; for `trust` see `load_run`.

    Raises:
        InputError: the folder is neither, or was trained on time series.
    """
    if is_crossfit(path):
        cross = load_crossfit(path, trust)
        target = Target(path, cross.runs, cross)
    else:
        target = Target(path, (load_run(path, trust=trust),), None)
    _ = target.data
    return target


def parts_of(target: Target, of: Of) -> Iterator[tuple[Run, Sequences]]:
    """Yield the requested plays, each part with the run that scores it.

    Raises:
        InputError: see `Run.plays` and `CrossFit.parts`.
    """
    if target.cross is not None:
        yield from target.cross.parts()
        return
    run = target.runs[0]
    for name in {"all": SPLITS, "held-out": ("validation", "test")}.get(of, (of,)):
        yield run, run.plays(name)


def score_plays(
    target: Target, of: Of = "all", sources: Sequence[str] = (), lists: Sequence[Source] = ()
) -> pl.DataFrame:
    """Return one row per play: `Run.score`, columns of the lists of plays if available, `gain` and expectations.

    Args:
        target: run or cross-fitting that scores.
        of: which of the target's plays; a cross-fitting scores all, each by the run that was not trained on it.
        sources: files of other plays to score instead, read by the same rules; every run of a cross-fitting scores
            them, and the PIT is the mean over the runs.
        lists: files or frames with the lists of the plays, if they are not those of `sources` or, without these, of the
            target's training.

    Raises:
        InputError: there are no such plays, or they cannot be read.
    """
    if sources:
        table = _score_others(target, sources)
    elif target.cross is not None:
        if of not in ("all", "held-out"):
            raise InputError(f"--of: {of}: a cross-fitting scores every play by a run that was not trained on it")
        table = target.cross.score()
    else:
        parts = [run.score(plays) for run, plays in parts_of(target, of) if len(plays)]
        if not parts:
            raise InputError(f"--of: there are no {of} plays in {target.runs[0].dataset}")
        table = pl.concat(parts)
    return _complete(table, target, lists or sources)


def _complete(table: pl.DataFrame, target: Target, sources: Sequence[Source]) -> pl.DataFrame:
    play_list = _lists(target.data, sources)
    if play_list is not None:
        table = with_listed(table, play_list)
    return with_expectation(_with_gain(table, target.data))


def league_of(target: Target, plays: Callable[[], pl.DataFrame], refit: bool = False) -> tuple[League, bool]:
    """Return the league saved with the target's first scores, and whether it is new, fitted now to `plays`."""
    path = target.path / LEAGUE_PATH
    if path.is_file() and not refit:
        return League.load(path), False
    league = League.fit(plays())
    league.save(path)
    return league, True


def rules_of(data: DataConfig) -> Rules:
    """Return the rules by which a run's plays were read."""
    return Rules(**data.reading)


def _score_others(target: Target, sources: Sequence[str]) -> pl.DataFrame:
    plays, _ = read_plays(list(sources), rules_of(target.data))
    return _score_memory(target, plays)


def _score_memory(target: Target, plays: Sequences) -> pl.DataFrame:
    tables = [run.score(plays) for run in target.runs]
    if len(tables) == 1:
        return tables[0]
    pit = np.mean([table["pit"].to_numpy() for table in tables], axis=0)
    # where the PIT rounds to 0 or 1 in all runs, the mean of their scores
    score = np.where(
        (pit > 0) & (pit < 1), ndtri(pit), np.mean([table["score"].to_numpy() for table in tables], axis=0)
    )
    averaged = ("median", "success_chance")
    means = {name: np.mean([table[name].to_numpy() for table in tables], axis=0) for name in averaged}
    values = {"pit": pit, "score": score, **means}
    return tables[0].with_columns(**{name: pl.Series(value.astype(np.float32)) for name, value in values.items()})


def _lists(data: DataConfig, sources: Sequence[Source]) -> pl.DataFrame | None:
    """The lists of plays among the sources; None if there are none or the files are missing."""
    files = places(sources or data.source)
    if not files or not all(isinstance(file, Frame) or file.exists() for file in files):
        return None
    try:
        return listed_facts(files)
    except InputError:
        if sources:
            raise
        return None


def _with_gain(table: pl.DataFrame, data: DataConfig) -> pl.DataFrame:
    """The table with the league's yards gained: from the lists, else from the outcome if that is in yards."""
    if GAIN in table.columns or not in_yards(data.outcome):
        return table
    no_gain = pl.col("result").is_in(["I", "IN"])
    return table.with_columns(pl.when(no_gain).then(0.0).otherwise(pl.col("outcome").cast(pl.Float64)).alias(GAIN))


def with_expectation(table: pl.DataFrame) -> pl.DataFrame:
    """Add `expected_completion` from the known `COMPLETION_COLUMNS`; plays without a down are returned unchanged."""
    columns = [name for name in COMPLETION_COLUMNS if name in table.columns and table[name].null_count() < len(table)]
    if table["game_id"].n_unique() < 2 or not {"down", "distance"} <= set(columns):
        return table
    chance = expected_completion(table, columns)
    return table.with_columns(expected_completion=pl.Series(chance).fill_nan(None))


@dataclass(frozen=True)
class Scores:
    """Quarterbacks' scores.

    Attributes:
        plays: one row per play of the split: ids, passer, PIT, score, and the known facts of the play.
        leaderboard: one row per group, best first.
        league: scale of the scores.
        notes: sentences about the league, the split and omitted groups.
    """

    plays: pl.DataFrame
    leaderboard: pl.DataFrame
    league: League
    notes: tuple[str, ...]


def score(
    target: Target | Run | str | Path,
    plays: Sequences | None = None,
    *,
    by: Sequence[str] = ("career",),
    split: str = "",
    of: Of | None = None,
    source: Sequence[str] = (),
    min_plays: int = 1,
    bootstraps: int = BOOTSTRAPS,
    refit: bool = False,
) -> Scores:
    """Score plays and aggregate them to a leaderboard on the league's scale.

    The league is fitted with the target's first scores and saved in its folder, so that later plays are on its scale.

    Args:
        target: a run, or the folder of a run or a cross-fitting.
        plays: plays in memory to score; by default those of the target's own data set.
        by: groups to score: play, drive, game, season or career, and columns of the plays ("season", "down").
        split: which plays: an SQL condition on their columns, or a name in `sbp_jax.scoring.splits`; all by default.
        of: which of the target's plays; by default all plays of a cross-fitting, and "held-out" (validation and test)
            of a run.
        source: files of other plays to score instead.
        min_plays: leave out groups with fewer plays.
        bootstraps: resamples of the games for the bootstrap intervals; 0 for none.
        refit: fit the league again instead of using the saved one.

    Returns:
        The scored plays, the leaderboard, the league and notes.

    Raises:
        InputError: there are no such plays, they cannot be read, or the split is not a condition on their columns.

    Example:
        >>> sbp.score("runs/demo/sbp-1a2b3c4d", by=("season",)).leaderboard  # doctest: +SKIP
    """
    if isinstance(target, Run):
        target = Target(target.path, (target,), None)
    elif not isinstance(target, Target):
        target = open_target(Path(target))
    of = of or ("all" if target.cross else "held-out")
    group_columns(by)  # InputError before the scoring
    if plays is not None:
        every, label = _complete(_score_memory(target, plays), target, source), "plays in memory"
    else:
        every = score_plays(target, of, source)
        label = f"plays of {', '.join(source)}" if source else f"{of} plays of {target.path}"
    # plays other than the target's own do not define a new league, except plays in memory
    from_target = plays is None and not source
    league, new = league_of(
        target, lambda: every if from_target or plays is not None else score_plays(target, of), refit
    )
    scores = leaderboard_of(every, league, by=by, split=split, min_plays=min_plays, bootstraps=bootstraps)
    return replace(scores, notes=(f"Scored: {label}.", league_note(league, new), *scores.notes))


def league_note(league: League, new: bool) -> str:
    """Return a sentence about a league and its variances, for `Scores.notes`."""
    return (
        f"League {'fixed now' if new else 'as fixed before'} on {league.counted:,} plays; variance of a play's score: "
        f"{league.passers:.4f} between passers, {league.games:.4f} between their games, {league.plays:.3f} within "
        "games."
    )


def leaderboard_of(
    plays: pl.DataFrame,
    league: League,
    *,
    by: Sequence[str] = ("career",),
    split: str = "",
    min_plays: int = 1,
    bootstraps: int = BOOTSTRAPS,
) -> Scores:
    """Aggregate scored plays to a leaderboard on the league's scale, with notes about the split and omitted groups.

    Args:
        plays: scored plays with their facts, from `score_plays`.
        league: the scale.
        by, split, min_plays, bootstraps: see `score`.

    Raises:
        InputError: the split is not a condition on the columns of the plays, or no group has enough plays.
    """
    columns, _ = group_columns(by)
    every, notes = plays, []
    subset, center = every, None
    if split:
        subset = select_plays(every, split)
        center = float(subset["score"].cast(pl.Float64).mean())  # pyright: ignore[reportArgumentType]
        condition = NAMED_SPLITS.get(split, split)
        notes.append(
            f"Split {condition}: {len(subset):,} of {len(every):,} plays; the league's mean score on them is "
            f"{center:+.3f}."
        )
    for name in columns:
        if name in subset.columns and subset[name].null_count():
            notes.append(f"{subset[name].null_count():,} plays have no {name}; they form a separate group.")
    board = aggregate(subset, by, league, center, min_plays, bootstraps)
    if num_excluded := subset.select(columns).n_unique() - len(board):
        notes.append(f"Left out: {num_excluded:,} group{'s' * (num_excluded > 1)} with fewer than {min_plays} plays.")
    board = board.join(rated(subset, columns), on=columns, how="left", nulls_equal=True, maintain_order="left")
    return Scores(subset, board, league, tuple(notes))
