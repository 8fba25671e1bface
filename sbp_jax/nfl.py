"""Passing scores and trained networks from data frames in memory: `sbp.nfl`.

Frames are from polars, pandas or pyarrow: play-by-play as `nflreadpy` loads it, or the tables of a Big Data Bowl. They
are recognized by their columns and read by the same rules as files, with the same counts and messages; they are not
changed. Results are frames of the library that the list of plays came from.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import polars as pl

from sbp_jax import configs
from sbp_jax.config import Config, DataConfig
from sbp_jax.data import features
from sbp_jax.data.facts import listed_ids
from sbp_jax.data.plays import PLAY, Sequences
from sbp_jax.data.readers.files import Frame
from sbp_jax.data.readers.formats import Table, recognize
from sbp_jax.data.readers.frames import (
    eager,
    from_native,
    from_natives,
    index_names,
    refuse_columns,
    to_native,
    with_columns,
)
from sbp_jax.data.readers.rules import Rules
from sbp_jax.errors import InputError
from sbp_jax.runs.crossfit import crossfit, folds_of
from sbp_jax.runs.datasets import open_frames
from sbp_jax.runs.run import Run
from sbp_jax.runs.score import Scores, leaderboard_of, league_note, league_of, open_target, score_plays
from sbp_jax.runs.train import train as train_on
from sbp_jax.scoring import League
from sbp_jax.scoring.aggregation import BOOTSTRAPS, group_columns

SCORED = ("median", "pit", "score", "success_chance")  # columns that `fit_transform` adds
# argument -> the table that it must be, and what that is
_ROLES = {
    "frame": ("plays", "a list of plays (gameId, playId, a result and yards)"),
    "tracking": ("tracking", "tracking (x, y, gameId, playId, nflId and a frame number)"),
    "games": ("games", "a list of games (gameId with week, season or homeTeamAbbr)"),
    "players": ("players", "a list of players (nflId, position)"),
}


@dataclass(frozen=True, eq=False, repr=False)
class PassingScores:
    """Scored passes and their league.

    Attributes:
        scored: one row per pass, in polars: ids, passer, outcome, predictive median, PIT, score, and the known facts of
            the play, with every column of the list of plays.
        league: the scale of the scores.
        account: counts of plays read, kept, left out and repaired, as a Markdown table.
        notes: sentences about the league.
        like: a frame; results are frames of its library.
    """

    scored: pl.DataFrame
    league: League
    account: str
    notes: tuple[str, ...]
    like: Any

    def __repr__(self) -> str:
        return f"PassingScores({len(self.scored):,} passes of {self.scored['passer_id'].n_unique():,} passers)"

    @property
    def plays(self) -> Any:
        """`scored` as a frame of the library that the list of plays came from."""
        return to_native(self.scored, self.like)

    def scores(
        self,
        *,
        by: str | Sequence[str] = ("career",),
        split: str = "",
        min_attempts: int = 1,
        bootstraps: int = BOOTSTRAPS,
    ) -> Scores:
        """Return the plays, leaderboard and notes of a split, as polars frames.

        Args:
            by: groups to score: play, drive, game, season, career, or columns of the plays, such as down.
            split: an SQL condition on the columns of the plays, or a name in `sbp_jax.scoring.splits`, such as
                "pressure" or "third_down"; all plays by default.
            min_attempts: leave out groups with fewer plays.
            bootstraps: resamples of the games for the bootstrap intervals; 0 for none.

        Raises:
            InputError: a column of `by` is missing, the split is not a condition on the columns of the plays, or no
                group has enough plays.
        """
        _check_numbers(min_attempts, bootstraps)
        groups = _groups(by)
        scores = leaderboard_of(
            self.scored, self.league, by=groups, split=split, min_plays=min_attempts, bootstraps=bootstraps
        )
        return replace(scores, notes=(*self.notes, *scores.notes))

    def leaderboard(self, **options: Any) -> Any:
        """Return the leaderboard with its intervals, best first; options and errors as for `scores`."""
        return to_native(self.scores(**options).leaderboard, self.like)

    def transform(self, frame: Any) -> Any:
        """Return a list of plays with the columns of `SCORED` added; they are missing for rows that were not scored.

        Rows keep their order. Two rows of one play have the same scores.

        Raises:
            InputError: the frame is not a list of plays, or already has one of these columns.
        """
        frame = eager(frame, "frame")
        source = from_native(frame, "frame")
        refuse_columns(source.rows.columns, SCORED, "frame")
        ids = listed_ids(source)
        scored = ids.join(self.scored.select(*PLAY, *SCORED), on=PLAY, how="left", maintain_order="left")
        return with_columns(frame, scored.select(SCORED).get_columns(), "frame")


def passing_scores(
    frame: Any,
    *,
    by: str | Sequence[str] = ("career",),
    split: str = "",
    min_attempts: int = 1,
    bootstraps: int = BOOTSTRAPS,
    progress: bool = True,
    **options: Any,
) -> Any:
    """Return the quarterbacks' leaderboard, with intervals, from a list of plays.

    Every pass is scored by a network that was not trained on its game, as in `sbp crossfit` and `sbp score`. To get
    several leaderboards of the same plays, train once with `score`.

    Args:
        frame: play-by-play, or the Big Data Bowl's list of plays; or several such frames.
        by, split, min_attempts, bootstraps: groups and plays of the leaderboard; see `PassingScores.scores`.
        progress: print the counts of plays and the notes about the scores, and show progress bars.
        options: further frames, configuration and folder; see `score`.

    Returns:
        One row per group, best first: `passing_score` on a scale from 50 to 99, its interval from `passing_low` to
        `passing_high`, and the other columns of `sbp_jax.scoring.aggregation.aggregate`.

    Raises:
        InputError: see `score` and `PassingScores.scores`.

    Example:
        >>> board = sbp.nfl.passing_scores(nflreadpy.load_pbp([2023, 2024]), min_attempts=200)  # doctest: +SKIP
    """
    groups = _groups(by)
    _check_numbers(min_attempts, bootstraps)
    fitted = score(frame, progress=progress, **options)
    scores = fitted.scores(by=groups, split=split, min_attempts=min_attempts, bootstraps=bootstraps)
    if progress:
        print("\n".join(scores.notes))
    return to_native(scores.leaderboard, fitted.like)


def fit_transform(frame: Any, **options: Any) -> Any:
    """Train by cross-fitting, and return the list of plays with `median`, `pit`, `score` and `success_chance`.

    The columns are the predictive median, the PIT and the score of the outcome, and the probability of a gain, all from
    a network that was not trained on the play's game. They are missing for rows that are not scored passes.

    Args:
        frame: play-by-play, or the Big Data Bowl's list of plays.
        options: see `score`.

    Raises:
        InputError: see `score` and `PassingScores.transform`.

    Example:
        >>> plays = sbp.nfl.fit_transform(nflreadpy.load_pbp(2024))  # doctest: +SKIP
    """
    frame = eager(frame, "frame")
    refuse_columns(from_native(frame, "frame").rows.columns, SCORED, "frame")
    return score(frame, **options).transform(frame)


def score(
    frame: Any,
    *,
    tracking: Any = None,
    games: Any = None,
    players: Any = None,
    player_play: Any = None,
    targets: Any = None,
    config: Config | None = None,
    seed: int | None = None,
    folds: int = 5,
    fold_by: Literal["game", "season"] = "game",
    out: str | Path | None = None,
    progress: bool = True,
) -> PassingScores:
    """Train one network per fold, and score every pass with the network that was not trained on its game.

    Args:
        frame: play-by-play, or the Big Data Bowl's list of plays; or several such frames. None if the tracking itself
            has the outcomes; the same frame as `tracking` if the list of plays is merged into the tracking.
        tracking: the tracking of these plays; or several frames, such as one per week.
        games, players: the Big Data Bowl's lists of games and of players.
        player_play: its list of players by play, for pressure and targets.
        targets: its list of targeted receivers.
        config: configuration of the network, without `data.source`; by default `sbp.Config()` with tracking, and the
            named configuration `play_by_play` without.
        seed: seed of the split, the initial weights and the order of the plays; by default the configuration's.
        folds: number of folds, each with one network; if `fold_by` is "season", the number of seasons.
        fold_by: build folds from games or from seasons.
        out: folder for the prepared plays and the runs, which the same call later resumes or loads; by default a
            temporary folder that is deleted.
        progress: print the counts of plays, and show progress bars.

    Raises:
        InputError: a frame is not what its argument expects, a column is missing, a play is malformed (unless
            `config.data.malformed` is "drop"), there are too few games, or the configuration does not fit the frames.

    Example:
        >>> scores = sbp.nfl.score(nflreadpy.load_pbp(2024), out="runs/2024")  # doctest: +SKIP
        >>> scores.leaderboard(by=("career", "down"), split="pressure", min_attempts=50)  # doctest: +SKIP
    """
    frames = _frames(
        frame=frame, tracking=tracking, games=games, players=players, player_play=player_play, targets=targets
    )
    config = _config(config, frames, tracking is not None, seed)
    list(folds_of(config, folds, fold_by))  # InputError before the reading
    data = config.data
    assert isinstance(data, DataConfig)
    with _folder(out) as folder:
        dataset = open_frames(data, frames, folder / "data", progress)
        if progress:
            print(dataset.account())
        target = open_target(crossfit(config, folds, fold_by, folder, data=dataset, progress=progress), trust=True)
        lists = [each for each in frames if any(table.role == "plays" for table in recognize(each))]
        scored = score_plays(target, lists=lists)
        league, new = league_of(target, lambda: scored)
    like = tracking if frame is None else frame
    like = like[0] if isinstance(like, list | tuple) else like
    like = pl.DataFrame() if isinstance(like, pl.LazyFrame) else like
    return PassingScores(scored, league, dataset.account(), (league_note(league, new),), like)


def train(
    frame: Any,
    *,
    tracking: Any = None,
    games: Any = None,
    players: Any = None,
    player_play: Any = None,
    targets: Any = None,
    config: Config | None = None,
    seed: int | None = None,
    out: str | Path = "runs",
    progress: bool = True,
) -> Run:
    """Train one network on the plays of data frames, as `sbp.train` does for files.

    A call with the same frames, configuration and folder resumes a killed run, or loads a complete one. The prepared
    plays are in `out/data`, so that `run.plays("test")` and `sbp.load_run` work without the frames.

    Args:
        frame, tracking, games, players, player_play, targets: the frames; see `score`.
        config, seed: see `score`.
        out: folder of the prepared plays and the runs.
        progress: print the counts of plays and a summary of the data, and show progress bars.

    Returns:
        The run with the parameters of its best epoch.

    Raises:
        InputError: see `score`; or another process is using the run's folder.

    Example:
        >>> run = sbp.nfl.train(plays, tracking=week_1, games=games, players=players)  # doctest: +SKIP
    """
    frames = _frames(
        frame=frame, tracking=tracking, games=games, players=players, player_play=player_play, targets=targets
    )
    config = _config(config, frames, tracking is not None, seed)
    assert isinstance(config.data, DataConfig)
    dataset = open_frames(config.data, frames, Path(out) / "data", progress)
    if progress:
        print(dataset.account())
    return train_on(config, dataset, out=out, progress=progress)


def read_plays(
    frame: Any,
    *,
    tracking: Any = None,
    games: Any = None,
    players: Any = None,
    player_play: Any = None,
    targets: Any = None,
    config: Config | None = None,
) -> Sequences:
    """Return the passes of data frames, for `run.predict`, `sbp.evaluate` and `sbp.score`.

    Args:
        frame, tracking, games, players, player_play, targets: the frames; see `score`.
        config: configuration with the reading rules, such as `run.config`.

    Raises:
        InputError: see `score`.

    Example:
        >>> sbp.score(run, sbp.nfl.read_plays(later, config=run.config)).leaderboard  # doctest: +SKIP
    """
    frames = _frames(
        frame=frame, tracking=tracking, games=games, players=players, player_play=player_play, targets=targets
    )
    if config is not None and isinstance(config.data, DataConfig):
        config = replace(config, data=replace(config.data, source=()))
    config = _config(config, frames, tracking is not None, None)
    assert isinstance(config.data, DataConfig)
    return features.read_plays(frames, Rules(**config.data.reading))[0]


def _frames(**arguments: Any) -> list[Frame]:
    """The frames of the arguments that are given, each the table that its argument expects."""
    frames, tracked = [], arguments["tracking"]
    for argument, data in arguments.items():
        # outcomes may be in the tracking: a list merged into it, or descriptions of the plays
        is_left_out = data is None and (argument != "frame" or tracked is not None)
        sources = [] if is_left_out else from_natives(data, argument)
        for source in sources:
            role, words = _ROLES.get(argument, ("", ""))
            tables = _tables(source, data)
            if role and role not in {table.role for table in tables}:
                raise InputError(f"{source}: expected {words}, found {', '.join(map(str, tables))}")
        is_merged = argument == "tracking" and tracked is not None and tracked is arguments["frame"]
        frames += [] if is_merged else sources
    return frames


def _tables(source: Frame, data: Any) -> list[Table]:
    """The tables in a frame; InputError, with a hint if columns may be in the index of pandas."""
    try:
        return recognize(source)
    except InputError as error:
        levels = index_names(data)
        hint = f"; {', '.join(levels)} of the index: reset_index() makes columns of it" if levels else ""
        raise InputError(f"{error}{hint}") from error


def _config(config: Config | None, frames: Sequence[Frame], has_tracking: bool, seed: int | None) -> Config:
    """The configuration, with the frames' names as its source and, if given, another seed."""
    default = Config() if has_tracking else configs.get("play_by_play")
    chosen: Config = config or default
    data, training = chosen.data, chosen.training
    if not isinstance(data, DataConfig):
        raise InputError("config: expected a configuration for plays, got one for time series")
    if data.source:
        raise InputError(f"data.source: expected no files with data frames, got {', '.join(data.source)}")
    if data.tracking and not has_tracking:
        raise InputError("tracking: expected a data frame, because data.tracking of the configuration is True")
    if has_tracking and not data.tracking:
        raise InputError("tracking: expected none, because data.tracking of the configuration is False")
    if seed is not None:
        data, training = replace(data, seed=seed), replace(training, seed=seed)
    return replace(chosen, data=replace(data, source=tuple(frame.name for frame in frames)), training=training)


@contextmanager
def _folder(out: str | Path | None) -> Iterator[Path]:
    """The folder `out`, or a temporary one."""
    if out is not None:
        yield Path(out)
        return
    with TemporaryDirectory(prefix="sbp-nfl-") as folder:
        yield Path(folder)


def _groups(by: str | Sequence[str]) -> tuple[str, ...]:
    groups = (by,) if isinstance(by, str) else tuple(by)
    group_columns(groups)  # InputError if they are invalid
    return groups


def _check_numbers(min_attempts: int, bootstraps: int) -> None:
    if min_attempts < 1:
        raise InputError(f"min_attempts: expected at least 1, got {min_attempts}")
    if not 0 <= bootstraps <= 100_000:
        raise InputError(f"bootstraps: expected 0 to 100,000, got {bootstraps}")
