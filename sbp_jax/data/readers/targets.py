"""The player to whom the ball was thrown, if a file records him.

| file | column |
| --- | --- |
| `targetedReceiver.csv` (2021), or any other list with games and plays | `targetNflId` |
| `player_play.csv` (2025) | `wasTargettedReceiver`, in this or the correct spelling: true or 1 for the player |
| tracking of 2026 | `player_role` is "Targeted Receiver" |

The files of 2019, 2022 to 2024 and the highlights have no target.
"""

from collections.abc import Sequence

import polars as pl

from sbp_jax.data.plays import PLAY
from sbp_jax.data.readers.formats import GAME_NAMES, PLAY_NAMES, PLAYER_NAMES, Table, read_table
from sbp_jax.data.readers.report import ReadReport
from sbp_jax.data.readers.tables import TRUE, cast_columns
from sbp_jax.errors import InputError

TARGET_NAMES = ("targetNflId",)
TARGETED_NAMES = ("wasTargettedReceiver", "wasTargetedReceiver")
_FALSE = ("false", "f", "no", "n", "0", "0.0")
_SCHEMA = {"game_id": pl.Int64, "play_id": pl.Int64, "target_id": pl.Int64}


def read_targets(tables: Sequence[Table]) -> tuple[pl.DataFrame, list[Table]]:
    """Return the targets in the files other than tracking, and the files that have any.

    Args:
        tables: all tables; tracking is skipped (`settle_targets` uses it).

    Returns:
        `game_id, play_id, target_id`, each triple once: a play whose files name two targets has two rows.

    Raises:
        InputError: an id or a flag does not parse; the message names file and column.
    """
    sources, parts = [], [pl.DataFrame(schema=_SCHEMA)]
    for table in (each for each in tables if each.layout is None):
        columns = [table.column(*names) for names in (GAME_NAMES, PLAY_NAMES)]
        target, player, targeted = (table.column(*names) for names in (TARGET_NAMES, PLAYER_NAMES, TARGETED_NAMES))
        if not all(columns) or not (target or (player and targeted)):
            continue
        rows = read_table(table, (name for name in (*columns, target, player, targeted) if name))
        if not target and targeted:
            rows = rows.filter(_is_true(rows[targeted], table))
        mapping = dict(zip(_SCHEMA, (*columns, target or player), strict=True))
        rows = rows.select(pl.col(str(column)).alias(name) for name, column in mapping.items())
        parts.append(cast_columns(rows, table.path, integers={name: str(column) for name, column in mapping.items()}))
        sources.append(table)
    return pl.concat(parts).drop_nulls().unique(maintain_order=True), sources


def settle_targets(
    plays: pl.DataFrame, rows: pl.DataFrame, listed: pl.DataFrame | None, report: ReadReport
) -> pl.DataFrame:
    """Return `plays` with `target_id`, null if no target can be marked; such plays are counted.

    Args:
        plays: one row per play.
        rows: rows of the plays: `game_id, play_id, player_id, offense`, and `targeted` if the tracking has roles.
        listed: the result of `read_targets`, or None if targets are not needed: then all are null, and not counted.
        report: counts the plays without a recorded target, with two of them, or with one who is not among the
            offense's tracked players.
    """
    if listed is None:
        return plays.with_columns(target_id=pl.lit(None, pl.Int64))
    people = rows.filter("offense").select(*PLAY, target_id="player_id").unique()
    role = pl.DataFrame(schema=_SCHEMA)
    if "targeted" in rows.columns:
        role = rows.filter(pl.col("targeted").fill_null(value=False)).select(*PLAY, target_id="player_id")
    targets = pl.concat([role, listed]).unique().join(plays.select(PLAY), on=PLAY, how="semi")
    one = targets.group_by(PLAY).agg(pl.col("target_id").first(), several=pl.len() > 1)
    single = one.filter(~pl.col("several")).drop("several")
    marked = single.join(people, on=[*PLAY, "target_id"], how="semi")
    report.repair("plays without a recorded target: nobody is marked", len(plays) - len(one))
    report.repair("plays with two different recorded targets: nobody is marked", len(one) - len(single))
    report.repair("plays whose target is not tracked with the offense: nobody is marked", len(single) - len(marked))
    return plays.join(marked, on=PLAY, how="left", maintain_order="left")


def _is_true(column: pl.Series, table: Table) -> pl.Series:
    words = column.cast(pl.String).str.strip_chars().str.to_lowercase()
    invalid = column.filter(~words.is_in([*TRUE, *_FALSE]).fill_null(value=True))
    if len(invalid):
        raise InputError(f"{table.path}: column {column.name!r}: expected true or false, got {str(invalid[0])!r}")
    return words.is_in(TRUE).fill_null(value=False)
