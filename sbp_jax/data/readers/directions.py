"""Which way the offence plays, and everything turned so that it is toward +x."""

import polars as pl

from sbp_jax.data.readers.kinematics import orientation_turns
from sbp_jax.data.readers.passers import PLAY
from sbp_jax.data.readers.rows import FIELD_LENGTH_YARDS, FIELD_WIDTH_YARDS
from sbp_jax.data.readers.screen import Screen

CLEAR_LEAD_YARDS = 1.0  # at least 1.7 in the 285 plays of the real samples, and always the way the file tells


def settle_direction(rows: pl.DataFrame, screen: Screen) -> pl.DataFrame:
    """Return `rows` with the offence's `direction`: the told one unless where the teams stand contradicts it."""
    differ = (pl.col("direction") != pl.col("seen_direction")).fill_null(value=False)
    wrong = differ & (pl.col("lead").abs() >= CLEAR_LEAD_YARDS).fill_null(value=False)
    screen.report.repair(
        "direction of play against where the teams stand: taken from there", rows.filter(wrong).select(PLAY).n_unique()
    )
    told = pl.when(~wrong).then("direction")
    return rows.with_columns(direction=pl.coalesce(told, "seen_direction")).drop("lead", "seen_direction")


def turn_orientation(rows: pl.DataFrame, screen: Screen) -> pl.DataFrame:
    """Return `rows` with `o` put right in the games whose zero is another one (`kinematics.orientation_turns`)."""
    turned = orientation_turns(rows.filter(~pl.col("is_ball"))).filter(pl.col("turns") != 0)
    if turned.is_empty():
        return rows
    rows = rows.join(turned, on="game_id", how="left")
    plays = rows.filter(pl.col("turns").is_not_null()).select(PLAY).n_unique()
    screen.report.repair("plays with orientation turned by a quarter or half circle", plays)
    return rows.with_columns(o=pl.col("o") - 90.0 * pl.col("turns").fill_null(0)).drop("turns")


def toward_positive_x(rows: pl.DataFrame) -> pl.DataFrame:
    """Return `rows` turned so that the offence moves toward +x: plays to the left by a half turn."""
    left = pl.col("direction") == "left"
    return rows.with_columns(
        x=pl.when(left).then(FIELD_LENGTH_YARDS - pl.col("x")).otherwise("x"),
        y=pl.when(left).then(FIELD_WIDTH_YARDS - pl.col("y")).otherwise("y"),
        dir=pl.when(left).then(pl.col("dir") + 180.0).otherwise("dir"),
        o=pl.when(left).then(pl.col("o") + 180.0).otherwise("o"),
    )
