"""Files damaged at random: a counted rejection or one line of error, never a traceback, never a wrong play kept."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from sbp_jax.data.tracking import read_tracking
from sbp_jax.data.windows import Rules
from sbp_jax.errors import InputError
from tests.data import fabricate

Random = np.random.Generator
KEY = ["game_id", "play_id", "frame", "player_id"]
TRACKING, PLAYS = "tracking.csv", "plays.csv"
LAYOUTS = {
    "2019": fabricate.as_2019,
    "2021": lambda table: table,
    "highlights": lambda table: fabricate.as_highlights(table, "Q.Back pass short left to W.Receiver for 7 yards."),
}


def write_folder(folder: Path, layout: str) -> Path:
    """Six plays of two games in one layout, with their list of plays, as text."""
    folder.mkdir()
    tracking = [
        fabricate.play(2018090900 + game, 50 + 25 * i, 12 + 4 * i, ("right", "left")[i % 2], seed=1 + i + 10 * game)
        for game in range(2)
        for i in range(3)
    ]
    fabricate.write(pl.concat([LAYOUTS[layout](table) for table in tracking]), folder / TRACKING)
    fabricate.write(fabricate.plays_table(*tracking), folder / PLAYS)
    return folder


def text(path: Path) -> pl.DataFrame:
    """A file's cells as they are written."""
    return pl.read_csv(path, infer_schema_length=0, null_values=["NA", ""])


def cells(path: Path, column: str, random: Random, value: str, share: float = 0.0) -> None:
    """Write `value` into some cells of a column: about a share of them, at least one."""
    table = text(path)
    hit = random.random(len(table)) < share
    hit[random.integers(len(table))] = True
    fabricate.write(
        table.with_columns(pl.when(pl.Series(hit)).then(pl.lit(value)).otherwise(column).alias(column)), path
    )


def coordinate(random: Random) -> str:
    return random.choice(["x", "y"])


def drop_column(folder: Path, random: Random) -> None:
    path = folder / random.choice([TRACKING, PLAYS])
    table = text(path)
    fabricate.write(table.drop(random.choice(table.columns)), path)


def shuffle_rows(folder: Path, random: Random) -> None:
    for name in (TRACKING, PLAYS):
        table = text(folder / name)
        fabricate.write(table[random.permutation(len(table))], folder / name)


def shuffle_columns(folder: Path, random: Random) -> None:
    table = text(folder / TRACKING)
    fabricate.write(table.select(random.permutation(table.columns).tolist()), folder / TRACKING)


def repeat_rows(folder: Path, random: Random) -> None:
    table = text(folder / TRACKING)
    fabricate.write(pl.concat([table, table[random.choice(len(table), 40)]]), folder / TRACKING)


def repeat_play(folder: Path, random: Random) -> None:
    table = text(folder / TRACKING)
    play = table[int(random.integers(len(table)))].select("gameId", "playId")
    copy = table.join(play, on=["gameId", "playId"], how="semi")
    fabricate.write(copy, folder / "again.csv")


def truncate(folder: Path, random: Random) -> None:
    path = folder / random.choice([TRACKING, PLAYS])
    content = path.read_bytes()
    path.write_bytes(content[: int(random.integers(len(content)))])


def overwrite_bytes(folder: Path, random: Random) -> None:
    path = folder / random.choice([TRACKING, PLAYS])
    content = bytearray(path.read_bytes())
    for at in random.integers(len(content), size=5):
        content[at : at + 8] = random.bytes(8)
    path.write_bytes(bytes(content))


def no_text(folder: Path, random: Random) -> None:
    (folder / random.choice([TRACKING, PLAYS])).write_bytes(random.bytes(4000))


def swap_coordinates(folder: Path, random: Random) -> None:
    table = text(folder / TRACKING)
    fabricate.write(table.with_columns(x="y", y="x"), folder / TRACKING)


def feet(folder: Path, random: Random) -> None:
    table = text(folder / TRACKING)
    columns = [(pl.col(c).cast(pl.Float64) * 3).cast(pl.String) for c in ("x", "y")]
    fabricate.write(table.with_columns(columns), folder / TRACKING)


def miles_an_hour(folder: Path, random: Random) -> None:
    table = text(folder / TRACKING)
    fabricate.write(table.with_columns((pl.col("s").cast(pl.Float64) * 2.0455).cast(pl.String)), folder / TRACKING)


def radians(folder: Path, random: Random) -> None:
    table = text(folder / TRACKING)
    fabricate.write(table.with_columns(pl.col("dir").cast(pl.Float64).radians().cast(pl.String)), folder / TRACKING)


def drop_rows(folder: Path, random: Random) -> None:
    table = text(folder / TRACKING)
    fabricate.write(table.filter(pl.Series(random.random(len(table)) > random.choice([0.002, 0.2]))), folder / TRACKING)


def drop_event(folder: Path, random: Random) -> None:
    table = text(folder / TRACKING)
    gone = random.choice(["ball_snap", "pass_forward"])
    fabricate.write(
        table.with_columns(pl.when(pl.col("event") != gone).then("event").alias("event")), folder / TRACKING
    )


def contradict(folder: Path, random: Random) -> None:
    table = text(folder / PLAYS)
    other = table[int(random.integers(len(table)))].with_columns(
        offensePlayResult=pl.lit("31"), playResult=pl.lit("31")
    )
    fabricate.write(pl.concat([table, other]), folder / PLAYS)


def in_tracking(column: str | None, value: str, share: float = 0.0) -> Callable[[Path, Random], None]:
    return lambda folder, random: cells(folder / TRACKING, column or coordinate(random), random, value, share)


def in_plays(column: str, value: str, share: float = 0.0) -> Callable[[Path, Random], None]:
    return lambda folder, random: cells(folder / PLAYS, column, random, value, share)


MUTATIONS: dict[str, Callable[[Path, Random], None]] = {
    **{f.__name__: f for f in (drop_column, shuffle_rows, shuffle_columns, repeat_rows, repeat_play, truncate)},
    **{f.__name__: f for f in (overwrite_bytes, no_text, swap_coordinates, feet, miles_an_hour, radians)},
    **{f.__name__: f for f in (drop_rows, drop_event, contradict)},
    "nan coordinate": in_tracking(None, "NaN"),
    "infinite coordinate": in_tracking(None, "inf"),
    "missing coordinate": in_tracking(None, "NA", 0.01),
    "coordinate off the field": in_tracking(None, "-412.5"),
    "coordinate beyond floats": in_tracking(None, "1e999"),
    "word for a coordinate": in_tracking(None, "left"),
    "word for a game": in_tracking("gameId", "opening night"),
    "missing game": in_tracking("gameId", "NA", 0.02),
    "half a play number": in_tracking("playId", "75.5"),
    "infinite speed": in_tracking("s", "inf"),
    "nan everywhere": in_tracking(None, "NaN", 1.0),
    "word for a gain": in_plays("offensePlayResult", "many"),
    "nan gain": in_plays("offensePlayResult", "NaN"),
    "gain longer than the field": in_plays("offensePlayResult", "140"),
    "part of a yard": in_plays("offensePlayResult", "3.25"),
    "unknown result": in_plays("passResult", "?", 0.5),
    "missing result": in_plays("passResult", "NA", 0.5),
    "word for a down": in_plays("down", "third"),
}


def read(folder: Path) -> tuple[dict[tuple[int, int], float], pl.DataFrame]:
    """Yards of each kept play, and where its players were."""
    chunks = list(read_tracking(folder, Rules(malformed="reject")))
    for chunk in chunks:
        assert chunk.report.read == chunk.report.kept + sum(chunk.report.rejected.values())
        assert chunk.report.kept == len(chunk.plays)
    plays = pl.concat([chunk.plays for chunk in chunks])
    frames = pl.concat([chunk.frames for chunk in chunks])
    yards = {(game, play): gain for game, play, gain in plays.select("game_id", "play_id", "yards").iter_rows()}
    assert len(yards) == len(plays), "a play was kept twice"
    return yards, frames.select(*KEY, "x", "y", "vx", "vy")


def survives(mutation: str, layout: str, seed: int, tmp_path: Path, sound: tuple) -> bool:
    """Whether plays are kept; all that are must be where they were."""
    folder = write_folder(tmp_path / f"{mutation}-{seed}", layout)
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
    assert gap["place"].max() < 0.2, (mutation, seed)
    assert gap["speed"].max() < 1.5, (mutation, seed)
    return True


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("mutation", MUTATIONS)
@pytest.mark.parametrize("seeds", [range(1), pytest.param(range(1, 6), marks=pytest.mark.slow)], ids=["one", "more"])
def test_no_traceback_and_no_wrong_play(mutation, layout, seeds, tmp_path):
    sound = read(write_folder(tmp_path / "sound", layout))
    assert len(sound[0]) == 6
    for seed in seeds:
        survives(mutation, layout, seed, tmp_path, sound)


@pytest.mark.parametrize("mutation", ["shuffle_rows", "shuffle_columns", "repeat_rows", "repeat_play"])
def test_order_and_repetition_lose_nothing(mutation, tmp_path):
    sound = read(write_folder(tmp_path / "sound", "2021"))
    assert survives(mutation, "2021", 0, tmp_path, sound)
    yards, frames = read(tmp_path / f"{mutation}-0")
    assert yards == sound[0]
    assert frames.sort(KEY).equals(sound[1].sort(KEY))
