"""Join further ratings, from a file of the user's, to a leaderboard."""

from pathlib import Path
from typing import Any

import polars as pl

from sbp_jax.errors import InputError


def joined(board: pl.DataFrame, table: pl.DataFrame, path: Path) -> tuple[pl.DataFrame, str]:
    """Return the leaderboard with the columns of a table, joined by those that both have, and a sentence on its rows.

    Args:
        board: the leaderboard, see `aggregate`.
        table: further ratings.
        path: the file of the table, for messages.

    Raises:
        InputError: the two share no column to join by, a key is duplicated, or no row joins; the line has the file,
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
        raise InputError(f"{path}: has no column beside {', '.join(table.columns)}, which the leaderboard has")
    there = [name for name in further if name in board.columns]
    if there:
        raise InputError(f"{path}: {there[0]}: the leaderboard has a column of that name; give it another")
    nested = [name for name in table.columns if table.schema[name].is_nested() or table.schema[name] == pl.Binary]
    if nested:
        raise InputError(f"{path}: {nested[0]}: expected numbers or text, got {table.schema[nested[0]]}")
    if table.is_empty():
        raise InputError(f"{path}: has no rows")
    told = table.select(*(_as_key(path, table[name], board.schema[name]) for name in keys), *further)
    twice = told.filter(pl.struct(keys).is_duplicated())
    if len(twice):
        first = ", ".join(f"{name} {twice[name][0]!r}" for name in keys)
        raise InputError(
            f"{path}: {len(twice)} of {len(table)} rows share their {', '.join(keys)} with another ({first})"
        )
    count = len(told.join(board, on=keys, how="semi"))
    if not count:
        example = ", ".join(f"{name} {table[name][0]!r}" for name in keys)
        ours = ", ".join(f"{name} {board[name][0]!r}" for name in keys)
        raise InputError(
            f"{path}: none of its {len(table)} rows joins by {', '.join(keys)}: its first has {example}, the "
            f"leaderboard's {ours}"
        )
    lost = told.join(board, on=keys, how="anti")
    names = "; ".join(" ".join(map(str, row)) for row in lost.select(keys).head(5).iter_rows())
    said = f"{path.name}: {count} of {len(told)} rows joined by {', '.join(keys)}"
    said += f"; not in the leaderboard: {names}{' ...' if len(lost) > 5 else ''}" if len(lost) else ""
    return board.join(told, on=keys, how="left", maintain_order="left"), said


def _as_key(path: Path, values: pl.Series, kind: Any) -> pl.Series:
    """A column in the type of the leaderboard's, by which it joins; InputError where that would be other values."""
    wrong = f"{path}: {values.name}: expected {kind} as in the leaderboard, got such as {values[0]!r}"
    if values.dtype != pl.String and values.dtype.is_numeric() != kind.is_numeric():
        raise InputError(wrong)
    try:
        cast = values.cast(kind)
    except pl.exceptions.PolarsError:
        raise InputError(wrong) from None
    if values.dtype.is_numeric() and not (cast.cast(pl.Float64) == values.cast(pl.Float64)).all():
        raise InputError(wrong)
    return cast
