"""Select a play by its ids, by its score or at random, among the plays of a run or of other files."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from sbp_jax.config import DataConfig
from sbp_jax.data.facts import facts_of
from sbp_jax.data.features import read_plays
from sbp_jax.data.plays import Sequences
from sbp_jax.errors import InputError
from sbp_jax.runs.run import Run
from sbp_jax.runs.score import Of, Target, parts_of, rules_of

Parts = list[tuple[Run, Sequences]]
LISTED = 20
_DOWNS = {1: "1st", 2: "2nd", 3: "3rd", 4: "4th"}


@dataclass(frozen=True, eq=False)
class Found:
    """A selected play.

    Attributes:
        run: run that scores the play.
        plays: plays that contain it.
        index: its position among them.
    """

    run: Run
    plays: Sequences
    index: int

    @cached_property
    def facts(self) -> dict[str, Any]:
        """Facts of the play other than its frames; None where unknown."""
        assert isinstance(self.run.config.data, DataConfig)
        one = self.plays.select(np.array([self.index]))
        return facts_of(one, self.run.config.data.situation).row(0, named=True)

    @property
    def title(self) -> list[str]:
        """Passer, game and play for a title."""
        plays, i = self.plays, self.index
        team = self.facts.get("team")
        passer = f"{plays.passer[i] or 'unknown passer'}{f' ({team})' if team else ''}"
        return [passer, f"game {plays.game_id[i]}", f"play {plays.play_id[i]}"]


def plays_of(target: Target, of: Of, sources: Sequence[str]) -> Parts:
    """Return the requested plays, each part with its run.

    Args:
        target: run or cross-fitting.
        of: which of the target's plays.
        sources: files of plays to use instead.

    Raises:
        InputError: there are no such plays; see also `parts_of`.
    """
    if sources:
        if target.cross is not None:
            raise InputError(f"--source: expected a single run, such as {target.runs[0].path}, not a cross-fitting")
        plays, _ = read_plays(list(sources), rules_of(target.data))
        if not len(plays):
            raise InputError(f"--source: {', '.join(sources)}: no plays match the run's rules")
        return [(target.runs[0], plays)]
    if target.cross is not None and of not in ("all", "held-out"):
        raise InputError(f"--of: {of}: in a cross-fitting, every play is held out from the run that scores it")
    parts = [(run, plays) for run, plays in parts_of(target, of) if len(plays)]
    if not parts:
        raise InputError(f"--of: there are no {of} plays in {target.runs[0].dataset}")
    return parts


def find_play(parts: Parts, wanted: str, seed: int, among: str) -> Found:
    """Return the play that a text selects.

    Args:
        parts: plays, each part with its run.
        wanted: GAME/PLAY_ID, a play_id, random, best or worst.
        seed: seed of random.
        among: name of the plays, for the error message.

    Raises:
        InputError: there is no such play (the message has the nearest one), or several have that play_id.
    """
    games, plays = (np.concatenate([getattr(each, name) for _, each in parts]) for name in ("game_id", "play_id"))
    if wanted == "random":
        return _at(parts, int(np.random.default_rng(seed).integers(len(plays))))
    if wanted in ("best", "worst"):
        scores = np.concatenate([run.score(each)["score"].to_numpy() for run, each in parts])
        return _at(parts, int(np.argmax(scores) if wanted == "best" else np.argmin(scores)))
    ids = wanted.split("/")
    if len(ids) > 2 or not all(each.isascii() and each.isdigit() and len(each) < 19 for each in ids):
        raise InputError(
            f"{wanted}: expected GAME/PLAY_ID, a play_id, random, best, worst or list; for example "
            f"{games[0]}/{plays[0]}"
        )
    # without a game id all games are equally near
    game_distance = np.abs(games - int(ids[0])) if len(ids) == 2 else np.zeros_like(games)
    play_distance = np.abs(plays - int(ids[-1]))
    matches = np.flatnonzero((game_distance == 0) & (play_distance == 0))
    if not len(matches):
        nearest = np.lexsort((play_distance, game_distance))[0]
        raise InputError(
            f"{wanted}: no such play among the {len(plays):,} of {among}; the nearest is "
            f"{games[nearest]}/{plays[nearest]}"
        )
    if len(matches) > 1:
        examples = ", ".join(f"{games[i]}/{plays[i]}" for i in matches[:3])
        more = ", ..." if len(matches) > 3 else ""
        raise InputError(f"{wanted}: expected GAME/PLAY_ID, because {len(matches)} games match: {examples}{more}")
    return _at(parts, int(matches[0]))


def list_plays(parts: Parts, seed: int) -> list[str]:
    """Return a random sample of the plays, best first, as lines that fit a terminal."""
    count = sum(len(plays) for _, plays in parts)
    sample = np.sort(np.random.default_rng(seed).permutation(count)[:LISTED])
    tables, begin = [], 0
    for run, plays in parts:
        indices = sample[(sample >= begin) & (sample < begin + len(plays))] - begin
        begin += len(plays)
        if len(indices):
            tables.append(run.score(plays.select(indices)))
    table = pl.concat(tables, how="diagonal_relaxed").sort("score", descending=True)
    lines = [f"{'game/play':<20} {'passer':<22} {'down':>9} {'outcome':>7} {'score':>7}"]
    for row in table.iter_rows(named=True):
        key = f"{row['game_id']}/{row['play_id']}"
        lines.append(f"{key:<20} {row['passer'][:22]:<22} {_down(row):>9} {row['outcome']:>7g} {row['score']:>+7.2f}")
    return [*lines, f"{len(table)} of {count:,} plays; --seed draws others"]


def head_of(play: Found) -> list[str]:
    """Return two lines with the known facts of a play before the snap."""
    facts = play.facts
    first = [play.title[0], _down(facts)]
    if facts.get("yards_to_goal") is not None:
        goal = facts["yards_to_goal"]
        first.append(f"{goal:g} yard{'' if goal == 1 else 's'} to the goal line")
    difference = facts.get("score_difference")
    if difference is not None:
        first.append("tied" if not difference else f"{'ahead' if difference > 0 else 'behind'} by {abs(difference):g}")
    second = [f"{facts['season']}"] if facts.get("season") is not None else []
    if facts.get("week") is not None:
        second.append(f"week {facts['week']}")
    second += play.title[1:]
    if facts.get("quarter") is not None:
        clock = facts.get("clock_s")
        remaining = "" if clock is None else f", {int(clock) // 60}:{int(clock) % 60:02d} left"
        second.append(f"quarter {facts['quarter']}{remaining}")
    return [" · ".join(part for part in parts if part) for parts in (first, second)]


def _down(facts: dict[str, Any]) -> str:
    down, distance, goal = (facts.get(name) for name in ("down", "distance", "yards_to_goal"))
    if down is None or distance is None:
        return ""
    return f"{_DOWNS.get(down, down)} & {'goal' if goal is not None and distance >= goal else f'{distance:g}'}"


def _at(parts: Parts, index: int) -> Found:
    for run, plays in parts:
        if index < len(plays):
            return Found(run, plays, index)
        index -= len(plays)
    raise IndexError(index)
