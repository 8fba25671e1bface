"""Data frames of polars, pandas or pyarrow as sources of the readers, and results as frames of the same library.

All are read through narwhals, and only the library of the frame needs to be installed.

| value of a pandas column | as the readers see it |
| --- | --- |
| NaN, NaT, None, NA | missing |
| a category | its text or number |
| an object column with one type | that type; with several (ids, some of them text), text |
| the index | nothing: `reset_index()` makes it a column |
"""

from collections.abc import Iterable, Sequence
from typing import Any

import narwhals as nw
import polars as pl
import polars.selectors as cs

from sbp_jax.data.readers.files import Frame
from sbp_jax.errors import InputError

_EXTENSION = getattr(pl, "BaseExtension", ())  # periods and intervals, in newer versions of polars
EXPECTED = "a data frame (polars, pandas or pyarrow)"


def from_native(data: Any, name: str) -> Frame:
    """Return a data frame as a source of the readers; the frame itself is not changed.

    Args:
        data: a frame of polars (a lazy one is collected), pandas, or pyarrow (a table).
        name: the frame's name in messages, such as "frame" or "tracking".

    Raises:
        InputError: the data are not such a frame, a lazy frame cannot be collected, or two columns have the same name.

    Example:
        >>> from_native(pl.DataFrame({"down": [1, 2]}), "frame").rows.shape
        (2, 1)
    """
    frame = _opened(data, name)
    _refuse_twice(frame.columns, name)
    # pandas has names that are numbers
    rows = pl.DataFrame([_column(column).alias(str(column.name)) for column in frame.iter_columns()])
    return Frame(name, rows.with_columns(cs.by_dtype(pl.Categorical, pl.Enum).cast(pl.String)))


def from_natives(data: Any, name: str) -> list[Frame]:
    """Return one frame, or the frames of a list or tuple, which are numbered in messages: "tracking[0]"."""
    if not isinstance(data, list | tuple):
        return [from_native(data, name)]
    if not data:
        raise InputError(f"{name}: expected {EXPECTED} or several, got an empty {type(data).__name__}")
    return [from_native(each, f"{name}[{number}]") for number, each in enumerate(data)]


def eager(data: Any, name: str) -> Any:
    """Return the frame, collected if it is lazy; InputError as for `from_native`."""
    return _opened(data, name).to_native()


def to_native(table: pl.DataFrame, like: Any) -> Any:
    """Return a table as a frame of the library of `like`: polars, pandas or pyarrow."""
    implementation = nw.from_native(like, eager_only=True).implementation
    if implementation.is_polars():
        return table
    if implementation.is_pyarrow():
        return table.to_arrow(compat_level=pl.CompatLevel.oldest())  # many of its functions take no views of strings
    return nw.from_arrow(table, backend=implementation).to_native()


def with_columns(data: Any, columns: Sequence[pl.Series], name: str) -> Any:
    """Return a frame with further columns, one value per row; its own columns and its index are unchanged.

    Raises:
        InputError: the frame already has a column with one of these names.
    """
    frame = _opened(data, name)
    refuse_columns(frame.columns, [column.name for column in columns], name)
    further = nw.from_native(to_native(pl.DataFrame(columns), frame.to_native()), eager_only=True)
    return frame.with_columns(*further.iter_columns()).to_native()


def index_names(data: Any) -> list[str]:
    """Return the names of the levels of a pandas frame's index; empty if it has none, and for other data."""
    index = (
        nw.maybe_get_index(nw.from_native(data, eager_only=True)) if nw.dependencies.is_into_dataframe(data) else None
    )
    return [str(name) for name in getattr(index, "names", ()) if name is not None]


def refuse_columns(columns: Sequence[Any], added: Sequence[str], name: str) -> None:
    """Raise InputError if a frame has one of the columns that are to be added to it."""
    clash = next((column for column in added if column in columns), None)
    if clash is not None:
        raise InputError(f"{name}: expected no column {clash!r}, which the scores add; rename it")


def _opened(data: Any, name: str) -> Any:
    """The data as narwhals' data frame."""
    try:
        return nw.from_native(data.collect() if isinstance(data, pl.LazyFrame) else data, eager_only=True)
    except pl.exceptions.PolarsError as error:
        raise InputError(f"{name}: cannot be collected ({str(error).strip().splitlines()[0]})") from error
    except nw.exceptions.NarwhalsError as error:  # of pandas and pyarrow; polars has no such frame
        _refuse_twice(getattr(data, "column_names", getattr(data, "columns", ())), name)
        raise InputError(f"{name}: {str(error).strip().splitlines()[0]}") from error
    except TypeError as error:
        kind = f"{type(data).__module__.partition('.')[0]}.{type(data).__qualname__}".removeprefix("builtins.")
        is_path = isinstance(data, str) or hasattr(data, "__fspath__")
        hint = "; files are read by sbp.train and sbp.score" if is_path else ""
        raise InputError(f"{name}: expected {EXPECTED}, got {kind}{hint}") from error


def _refuse_twice(columns: Iterable[Any], name: str) -> None:
    texts = [str(column) for column in columns]
    twice = next((text for text in texts if texts.count(text) > 1), None)
    if twice is not None:
        raise InputError(f"{name}: two columns are named {twice!r}")


def _column(column: Any) -> pl.Series:
    """A column in polars; mixed and unknown objects as text."""
    try:
        values = column.to_polars()
        if values.dtype != pl.Object and not isinstance(values.dtype, _EXTENSION):
            return values
    except (TypeError, ValueError, NotImplementedError, OverflowError):  # pyarrow's errors for columns of objects
        pass
    missing = column.is_null().to_list()
    values = [None if absent else value for value, absent in zip(column.to_list(), missing, strict=True)]
    try:
        series = pl.Series(values)
    except (TypeError, ValueError, OverflowError):
        return _texts(values)
    return _texts(values) if series.dtype == pl.Object else series


def _texts(values: Sequence[Any]) -> pl.Series:
    return pl.Series([None if value is None else str(value) for value in values], dtype=pl.String)
