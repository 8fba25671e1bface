"""Names of columns, matched in any of the spellings that other programs produce.

R's janitor turns `frame.id` into `frame_id` and `passResult` into `pass_result`; databases lower the case; fixed-width
editors pad with spaces; a merge turns `displayName` of two tables into `displayName_x` and `displayName_y`. Two names
are the same if they agree without case, spaces, dots, hyphens and underscores. An exact name takes precedence.
"""

import re
from collections.abc import Collection, Sequence
from functools import lru_cache

from sbp_jax.errors import InputError

# the names that R, pandas and polars give a column of row numbers
ROW_INDEX = {"", "Unnamed: 0", "Unnamed: 0.1", "X", "...1", "index", "rownames", "rowname", "row_nr"}
_MERGED = ("x", "y")  # the suffixes of pandas (`_x`, `_y`) and R (`.x`, `.y`)
_VECTOR = 3  # maximum length of the name of a quantity with components: s, a, o, dir, dis


def plain(name: str) -> str:
    """Return a name without case, spaces, dots, hyphens and underscores."""
    return re.sub(r"[\s._-]", "", name).lower()


def find_column(columns: Sequence[str], *names: str) -> str | None:
    """Return the column for the first of `names` that a table has, or None.

    Args:
        columns: the table's columns.
        names: alternatives, best first. A column with the exact name of one never matches another, and a spelling of
            several matches the last.

    Raises:
        InputError: two columns fit a name equally well. The message does not name the file.

    Example:
        >>> find_column(["game_id", "Pass Result"], "passResult", "pass_result")
        'Pass Result'
    """
    spellings = _spellings(tuple(columns))
    for number, name in enumerate(names, 1):
        if name in columns:
            return name
        if plain(name) in map(plain, names[number:]):
            continue
        same = [column for column in spellings.get(plain(name), ()) if column not in names]
        # s_x and s_y next to x are a vector's components
        may_be_merged = len(plain(name)) > _VECTOR or all("x" + suffix in spellings for suffix in _MERGED)
        if not same and may_be_merged and all(plain(name) + suffix in spellings for suffix in _MERGED):
            same = spellings[plain(name) + _MERGED[0]]
        if len(same) > 1:
            quoted = " and ".join(map(repr, same))
            raise InputError(f"the columns {quoted} could both be {name!r}; rename or drop one of them")
        if same:
            return same[0]
    return None


def has_column(columns: Sequence[str], names: Collection[str]) -> bool:
    """Return whether a table has a column for one of `names`, in any spelling."""
    spellings = _spellings(tuple(columns))
    return any(plain(name) in spellings for name in names)


@lru_cache(256)
def _spellings(columns: tuple[str, ...]) -> dict[str, list[str]]:
    spellings: dict[str, list[str]] = {}
    for column in columns:
        spellings.setdefault(plain(column), []).append(column)
    return spellings
