"""Plays after damage: counted, stopped with one line, or unchanged in position."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from sbp_jax.data.readers.rules import Rules
from sbp_jax.data.readers.tracking import read_tracking
from sbp_jax.errors import InputError
from tests.data.readers.mutations import MUTATIONS

KEY = ["game_id", "play_id", "frame", "player_id"]


@dataclass(frozen=True)
class Noise:
    """Tolerance for a kept play: a filled frame, a speed derived from the positions."""

    place_yards: float = 0.2
    speed_yps: float = 1.5
    median_yps: float = 0.1


def read(folder: Path) -> tuple[dict[tuple[int, int], float], pl.DataFrame]:
    """Yards of each kept play, and the positions of its players."""
    chunks = list(read_tracking(folder, Rules(malformed="drop")))
    for chunk in chunks:
        assert chunk.report.read == chunk.report.kept + sum(chunk.report.rejected.values())
        assert chunk.report.kept == len(chunk.plays)
    plays = pl.concat([chunk.plays for chunk in chunks])
    frames = pl.concat([chunk.frames for chunk in chunks])
    yards = {(game, play): gain for game, play, gain in plays.select("game_id", "play_id", "yards").iter_rows()}
    assert len(yards) == len(plays), "a play was kept twice"
    return yards, frames.select(*KEY, "x", "y", "vx", "vy")


def survives(mutation: str, folder: Path, seed: int, sound: tuple, noise: Noise | None = None) -> bool:
    """Damage a folder and return whether plays are kept; all kept ones must be unchanged in position."""
    noise = noise or Noise()
    random = np.random.default_rng([seed, list(MUTATIONS).index(mutation)])
    MUTATIONS[mutation](folder, random)
    try:
        yards, frames = read(folder)
    except InputError as error:
        message = str(error)
        assert "\n" not in message, message
        assert str(folder) in message, message
        return False
    expected_yards, expected = sound
    assert all(expected_yards[play] == gain for play, gain in yards.items()), (mutation, seed)
    both = frames.join(expected, on=KEY, how="left", suffix="_true")
    assert both["x_true"].null_count() == 0, (mutation, seed, "a frame or player that was not there")
    gap = both.select(
        place=(pl.col("x") - pl.col("x_true")).abs() + (pl.col("y") - pl.col("y_true")).abs(),
        speed=(pl.col("vx") - pl.col("vx_true")).abs() + (pl.col("vy") - pl.col("vy_true")).abs(),
    )
    assert gap["place"].max() < noise.place_yards, (mutation, seed)
    assert gap["speed"].max() < noise.speed_yps, (mutation, seed)
    assert gap["speed"].median() < noise.median_yps, (mutation, seed)
    return True
