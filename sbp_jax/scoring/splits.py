"""Select scored plays by a named split or an SQL expression such as "time_to_throw between 2.5 and 4"."""

import difflib

import polars as pl
from polars.exceptions import PolarsError

from sbp_jax.errors import InputError

# name of a split -> its condition; yards and seconds
SPLITS = {
    "pressure": "pressure",
    "clean": "not pressure",
    "quick": "time_to_throw < 2.5",
    "extended": "time_to_throw between 2.5 and 4",
    "late": "time_to_throw > 4",
    "deep": "air_yards >= 20",
    "short": "air_yards < 10",
    "first_down": "down = 1",
    "third_down": "down = 3",
    "red_zone": "yards_to_goal <= 20",
    "ahead": "score_difference > 0",
    "tied": "score_difference = 0",
    "behind": "score_difference < 0",
    "home": "home = 1",
    "away": "home = 0",
    "two_minutes": "quarter in (2, 4) and clock_s <= 120",
}


def select_plays(plays: pl.DataFrame, split: str) -> pl.DataFrame:
    """Return the plays of a split; plays for which the condition is unknown are excluded.

    Args:
        plays: one row per play, with the columns used by the split.
        split: a name in `SPLITS`, or a condition on the columns in SQL.

    Raises:
        InputError: the split cannot be read, uses a missing column, is not a condition, or selects no play.
    """
    condition = SPLITS.get(split, split)
    try:
        expression = pl.sql_expr(condition)
        columns = expression.meta.root_names()
        names = [name for name in columns if name not in plays.columns]
        if names and split != condition:
            raise InputError(f"split {split!r}: means {condition!r}, but these plays have no column {names[0]!r}")
        if names:
            raise InputError(f"split {split!r}: {_unknown(names[0], plays.columns)}")
        kind = plays.select(expression.alias("split")).schema["split"]
        subset = plays.filter(expression) if kind == pl.Boolean else plays.clear()
    except PolarsError as error:
        message = str(error).strip().splitlines()[0]
        raise InputError(f"split {split!r}: cannot be read as a condition on the plays' columns ({message})") from error
    if kind != pl.Boolean:
        raise InputError(f"split {split!r}: expected a condition such as 'down = 3', got values of type {kind}")
    if subset.is_empty():
        unknown = [name for name in columns if plays[name].is_null().all()]
        why = f": {unknown[0]!r} is unknown for all of them" if unknown else ""
        raise InputError(f"split {split!r}: none of the {len(plays):,} plays is in it{why}")
    return subset


def _unknown(name: str, columns: list[str]) -> str:
    near = difflib.get_close_matches(name, [*columns, *SPLITS], n=1, cutoff=0.6)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    names = "" if near else f"; named splits: {', '.join(SPLITS)}"
    return f"no column {name!r}{hint}; there are {', '.join(columns)}{names}"
