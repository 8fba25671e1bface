"""Random damage to a folder with `tracking.csv` and `plays.csv`, by name."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl

from tests.data import fabricate

Random = np.random.Generator
TRACKING, PLAYS = "tracking.csv", "plays.csv"


def text(path: Path) -> pl.DataFrame:
    """Cells of a file, as text."""
    return pl.read_csv(path, infer_schema_length=0, null_values=["NA", ""])


def cells(path: Path, column: str, random: Random, value: str, share: float = 0.0) -> None:
    """Write `value` into about a fraction of a column's cells, at least one."""
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
    scale(folder, 3.0, "x", "y")


def miles_an_hour(folder: Path, random: Random) -> None:
    scale(folder, 2.0455, "s")


def radians(folder: Path, random: Random) -> None:
    scale(folder, math.pi / 180, "dir")


def meters(folder: Path, random: Random) -> None:
    scale(folder, 0.9144, "x", "y")


def meters_per_second(folder: Path, random: Random) -> None:
    scale(folder, 0.9144, "s")


def orientation_in_radians(folder: Path, random: Random) -> None:
    table = text(folder / TRACKING)
    if "o" in table.columns:
        scale(folder, math.pi / 180, "o")


def angles_the_other_way(folder: Path, random: Random) -> None:
    table = text(folder / TRACKING)
    turned = 90.0 - pl.col("dir").cast(pl.Float64)
    fabricate.write(table.with_columns(dir=turned.cast(pl.String)), folder / TRACKING)


def twenty_frames_a_second(folder: Path, random: Random) -> None:
    table = text(folder / TRACKING)
    frame = next((name for name in ("frameId", "frame.id") if name in table.columns), None)
    if frame:
        number = pl.col(frame).cast(pl.Float64) * 2
        step = pl.col("s").cast(pl.Float64) * 0.05
        angle = pl.col("dir").cast(pl.Float64).radians()
        moved = {"x": step * angle.sin(), "y": step * angle.cos()}
        between = [
            (pl.col(c).cast(pl.Float64) + way.fill_null(0.0)).cast(pl.String).alias(c) for c, way in moved.items()
        ]
        event = pl.lit(None, pl.String).alias("event")
        later = table.with_columns(*between, event, (number + 1).cast(pl.String).alias(frame))
        fabricate.write(pl.concat([table.with_columns(number.cast(pl.String).alias(frame)), later]), folder / TRACKING)


def five_frames_a_second(folder: Path, random: Random) -> None:
    table = text(folder / TRACKING)
    frame = next((name for name in ("frameId", "frame.id") if name in table.columns), None)
    if frame:
        number = pl.col(frame).cast(pl.Float64)
        # the events remain at the snap and the throw, whatever their frames
        half = table.filter((number % 2 == 0) | pl.col("event").is_in(["ball_snap", "pass_forward"]))
        fabricate.write(half.with_columns((number / 2).floor().cast(pl.String).alias(frame)), folder / TRACKING)


def leap(folder: Path, random: Random) -> None:
    path = folder / TRACKING
    table = text(path)
    hit = pl.Series(np.arange(len(table)) == random.integers(len(table)))
    there = (pl.col("x").cast(pl.Float64) + random.choice([-25.0, 25.0])).cast(pl.String)
    fabricate.write(table.with_columns(x=pl.when(hit).then(there).otherwise("x")), path)


def mixed_labels(folder: Path, random: Random) -> None:
    path = folder / TRACKING
    table = text(path)
    name = random.choice([c for c in ("team", "club", "event", "playDirection", "position") if c in table.columns])
    fabricate.write(table.with_columns(pl.lit("7").alias(name)), path)


def scale(folder: Path, factor: float, *columns: str) -> None:
    table = text(folder / TRACKING)
    scaled = [(pl.col(c).cast(pl.Float64) * factor).cast(pl.String) for c in columns]
    fabricate.write(table.with_columns(scaled), folder / TRACKING)


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
    **{f.__name__: f for f in (drop_rows, drop_event, contradict, leap, mixed_labels)},
    **{f.__name__: f for f in (meters, meters_per_second, orientation_in_radians, angles_the_other_way)},
    **{f.__name__: f for f in (twenty_frames_a_second, five_frames_a_second)},
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
