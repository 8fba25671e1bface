"""Join further ratings from a user's file to a leaderboard."""

from pathlib import Path
from typing import Any

import polars as pl

from sbp_jax.errors import InputError


def joined(board: pl.DataFrame, table: pl.DataFrame, path: Path) -> tuple[pl.DataFrame, str]:
    """Return the leaderboard with a table's columns, joined by the shared columns, and a sentence on the joined rows.

    Args:
        board: the leaderboard, see `aggregate`.
        table: further ratings.
        path: file of the table, for messages.

    Raises:
        InputError: the two share no column to join by, a key is duplicated, or no row joins; the message has the file,
            the keys and the number of rows.
    """
    groups = board.columns[: board.columns.index("plays")]
    keys = [name for name in table.columns if name in groups]
    if not keys:
        raise InputError(
            f"{path}: expected a column to join by, one of {', '.join(groups)}; it has {', '.join(table.columns)}"
        )
    further = [name for name in table.columns if name not in groups]
    if not further:
        raise InputError(f"{path}: has no column besides {', '.join(table.columns)}, which the leaderboard has")
    duplicate_names = [name for name in further if name in board.columns]
    if duplicate_names:
        raise InputError(f"{path}: {duplicate_names[0]}: the leaderboard has a column with that name; rename it")
    nested = [name for name in table.columns if table.schema[name].is_nested() or table.schema[name] == pl.Binary]
    if nested:
        raise InputError(f"{path}: {nested[0]}: expected numbers or text, got {table.schema[nested[0]]}")
    if table.is_empty():
        raise InputError(f"{path}: has no rows")
    ratings = table.select(*(_as_key(path, table[name], board.schema[name]) for name in keys), *further)
    duplicates = ratings.filter(pl.struct(keys).is_duplicated())
    if len(duplicates):
        first = ", ".join(f"{name} {duplicates[name][0]!r}" for name in keys)
        raise InputError(
            f"{path}: {len(duplicates)} of {len(table)} rows share their {', '.join(keys)} with another ({first})"
        )
    count = len(ratings.join(board, on=keys, how="semi"))
    if not count:
        example = ", ".join(f"{name} {table[name][0]!r}" for name in keys)
        ours = ", ".join(f"{name} {board[name][0]!r}" for name in keys)
        raise InputError(
            f"{path}: none of its {len(table)} rows joins by {', '.join(keys)}: its first has {example}, the "
            f"leaderboard's {ours}"
        )
    unmatched = ratings.join(board, on=keys, how="anti")
    names = "; ".join(" ".join(map(str, row)) for row in unmatched.select(keys).head(5).iter_rows())
    sentence = f"{path.name}: {count} of {len(ratings)} rows joined by {', '.join(keys)}"
    sentence += f"; not in the leaderboard: {names}{' ...' if len(unmatched) > 5 else ''}" if len(unmatched) else ""
    return board.join(ratings, on=keys, how="left", maintain_order="left"), sentence


def _as_key(path: Path, values: pl.Series, kind: Any) -> pl.Series:
    """A key column cast to the leaderboard's type; InputError if that would change its values."""
    wrong = f"{path}: {values.name}: expected {kind} as in the leaderboard, got for example {values[0]!r}"
    if values.dtype != pl.String and values.dtype.is_numeric() != kind.is_numeric():
        raise InputError(wrong)
    try:
        cast = values.cast(kind)
    except pl.exceptions.PolarsError:
        raise InputError(wrong) from None
    if values.dtype.is_numeric() and not (cast.cast(pl.Float64) == values.cast(pl.Float64)).all():
        raise InputError(wrong)
    return cast
