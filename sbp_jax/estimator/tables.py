"""Read tables and sequences of features: arrays, data frames of several libraries, lists of rows.

Each column is read as numbers or as text, whatever its container, so that equal data give equal features. All kinds of
missing values are treated alike, times are seconds since 1970, booleans are 0 and 1, and categories are text even if
they look like numbers. Ambiguous data raise an error; nothing is guessed.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import jax.numpy as jnp
import narwhals.stable.v2 as nw
import numpy as np
from jaxtyping import Float64
from narwhals.exceptions import DuplicateError

from sbp_jax.errors import InputError

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Table:
    """Columns of features.

    Attributes:
        columns: arrays [N]: float64 with NaN where missing, or strings with None where missing.
        names: names of the columns; None for an array, or a frame whose columns are numbered.
        rows: number of rows.
        label: the argument in messages, "X" or "static".
    """

    columns: tuple[np.ndarray, ...]
    names: tuple[str, ...] | None
    rows: int
    label: str = "X"

    def where(self, i: int) -> str:
        """Return a column in messages, "X: column 'a'"."""
        return f"{self.label}: column {i if self.names is None else repr(self.names[i])}"

    def take(self, rows: np.ndarray) -> "Table":
        """Return the rows of a mask [N]."""
        return replace(self, columns=tuple(each[rows] for each in self.columns), rows=int(np.sum(rows)))

    def matching(self, names: Sequence[str] | None, count: int, owner: str) -> "Table":
        """Return the columns of training in the order of training, matched by name.

        If this table or that of training has no names, columns are matched by position. If only one of them has names,
        a warning states which one.

        Raises:
            InputError: the columns or their number differ from training; `owner` names the estimator in the message.
        """
        if names is None or self.names is None:
            if len(self.columns) != count:
                raise InputError(
                    f"{self.label} has {len(self.columns)} features, but {owner} is expecting {count} features as input"
                )
            if names is not None:
                warnings.warn(
                    f"{self.label} does not have valid feature names, but {owner} was fitted with feature names",
                    UserWarning,
                    stacklevel=5,
                )
            elif self.names is not None:
                warnings.warn(
                    f"{self.label} has feature names, but {owner} was fitted without feature names",
                    UserWarning,
                    stacklevel=5,
                )
            return self
        missing = [name for name in names if name not in self.names]
        extra = [name for name in self.names if name not in names]
        if missing or extra:
            parts = [f"{self.label}: the feature names should match those that were passed during fit"]
            parts += [f"missing: {_listed(missing)}"] if missing else []
            parts += [f"unknown: {_listed(extra)}"] if extra else []
            raise InputError("; ".join(parts))
        where = [self.names.index(name) for name in names]
        return replace(self, columns=tuple(self.columns[i] for i in where), names=tuple(names))


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:5])
    return shown if len(names) <= 5 else f"{shown} and {len(names) - 5} more"


def read_table(X: Any, label: str = "X") -> Table:
    """Read features from a NumPy or JAX array [N, F], a pandas, polars or pyarrow frame, or a list of rows.

    Args:
        X: the table.
        label: the argument in messages.

    Raises:
        InputError: the table is not two-dimensional, is empty, has an infinite value, or has a column that is neither
            numbers nor text.
    """
    if hasattr(X, "toarray") and hasattr(X, "nnz"):
        raise InputError(f"{label}: sparse data were passed, but a dense array is required; use {label}.toarray()")
    try:
        frame = nw.from_native(X, pass_through=True, allow_series=False)
    except DuplicateError:
        given = list(getattr(X, "column_names", getattr(X, "columns", ())))
        repeated = next(name for i, name in enumerate(given) if name in given[:i])
        raise InputError(f"{label}: expected unique column names, but {repeated!r} is repeated") from None
    if isinstance(frame, nw.LazyFrame):
        frame = frame.collect()
    table = _frame_table(frame, label) if isinstance(frame, nw.DataFrame) else _array_table(X, label)
    if not table.columns:
        raise InputError(f"{label}: 0 feature(s) (shape=({table.rows}, 0)) while a minimum of 1 is required.")
    if not table.rows:
        raise InputError(f"{label}: 0 sample(s) (shape=(0, {len(table.columns)})) while a minimum of 1 is required.")
    for i, column in enumerate(table.columns):
        if column.dtype == np.float64 and np.any(np.isinf(column)):
            raise InputError(f"{table.where(i)}: expected finite or missing values, but it contains infinity (inf)")
    return table


def _frame_table(frame: nw.DataFrame[Any], label: str) -> Table:
    native = frame.to_native()
    given = list(getattr(native, "column_names", native.columns))
    named = [isinstance(name, str) for name in given]
    if not all(named) and (any(named) or any(isinstance(name, tuple) for name in given)):
        odd = given[named.index(False)]
        raise InputError(f"{label}: expected column names that are text, but one is {odd!r}, a {type(odd).__name__}")
    table = Table((), tuple(given) if all(named) and given else None, len(frame), label)
    columns = tuple(_frame_column(each, table.where(i)) for i, each in enumerate(frame.iter_columns()))
    return replace(table, columns=columns)


def _frame_column(series: Any, where: str) -> np.ndarray:
    dtype = series.dtype
    if dtype.is_numeric() or dtype == nw.Boolean:
        return np.array(series.cast(nw.Float64).to_numpy(), np.float64)
    if dtype == nw.Duration:
        return np.array(series.dt.total_microseconds().cast(nw.Float64).to_numpy(), np.float64) / 1e6
    if dtype in (nw.Datetime, nw.Date):
        series = series.cast(nw.Datetime("us")) if dtype == nw.Date else series
        return np.array(series.dt.timestamp("us").cast(nw.Float64).to_numpy(), np.float64) / 1e6
    values = np.empty(len(series), object)
    values[:] = series.to_list()
    if dtype in (nw.Categorical, nw.Enum):
        return np.array([None if is_missing(value) else str(value) for value in values], object)
    return _object_column(values, where)


def _array_table(X: Any, label: str) -> Table:
    array = as_array(X, label)
    if array.ndim != 2:
        if array.ndim == 0:
            raise InputError(f"{label}: expected a two-dimensional array or a data frame, got {type(X).__name__}")
        got = f"{array.ndim}D array instead: shape={array.shape}"
        raise InputError(f"{label}: Expected 2D array, got {got}. Reshape your data: one row per outcome [N, F]")
    table = Table((), None, len(array), label)
    return replace(table, columns=tuple(array_column(column, table.where(i)) for i, column in enumerate(array.T)))


def as_array(X: Any, label: str) -> np.ndarray:
    """Return an array-like as an array with unchanged values: numbers stay numbers, and masked values become missing.

    Raises:
        InputError: rows differ in length, or the numbers are complex.
    """
    try:
        if isinstance(X, np.ma.MaskedArray):
            given = np.ma.getdata(X)
            array = given.astype(np.float64 if given.dtype.kind in "biuf" else object)
            array[np.ma.getmaskarray(X)] = np.nan
            return array
        array = np.asarray(X)
        if isinstance(X, list | tuple) and array.dtype.kind not in "biufc":
            array = np.array(X, object)
    except (TypeError, ValueError) as error:
        if "inhomogeneous" in str(error):
            raise InputError(f"{label}: expected rows of one length, got rows of different lengths") from None
        raise InputError(f"{label}: expected an array or a data frame, got {type(X).__name__}: {error}") from None
    if np.iscomplexobj(array):
        raise InputError(f"{label}: Complex data not supported: expected real numbers")
    if array.dtype.kind == "V" and jnp.issubdtype(array.dtype, jnp.floating):  # bfloat16 and its like
        return array.astype(np.float64)
    return array


def array_column(values: np.ndarray, where: str) -> np.ndarray:
    """Return the values [N] of an array of any type as a column of a `Table`.

    Raises:
        InputError: they are neither numbers nor text.
    """
    kind = values.dtype.kind
    if kind in "biuf":
        return np.array(values, np.float64)
    if kind in "mM":
        missing, unit = np.isnat(values), np.timedelta64(1, "us")
        start = np.datetime64(0, "us") if kind == "M" else np.timedelta64(0, "us")
        return np.where(missing, np.nan, (values.astype(f"{kind}8[us]") - start) / unit / 1e6)
    if kind not in "OUT":
        raise InputError(f"{where}: expected numbers or text, got {values.dtype}")
    return _object_column(values.astype(object), where)


def is_missing(value: Any) -> bool:
    """Return whether a value is None, NaN, or the missing value of pandas."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    if isinstance(value, np.datetime64 | np.timedelta64):
        return bool(np.isnat(value))
    return isinstance(value, float | np.floating | Decimal) and bool(value != value)


def _object_column(values: np.ndarray, where: str) -> np.ndarray:
    """Numbers and times as float64, or text, None where missing; InputError for a mixture and for other things."""
    missing = np.array([is_missing(value) for value in values], bool)
    known = values[~missing]
    kinds = {_kind(value, where) for value in known}
    if len(kinds) > 1:
        raise InputError(f"{where}: expected values of one kind, but it has {' and '.join(sorted(kinds))}")
    if kinds == {"text"}:
        result = np.full(len(values), None, object)
        result[~missing] = [str(value) for value in known]
        return result
    numbers = np.full(len(values), np.nan)
    numbers[~missing] = [_number(value) for value in known]
    return numbers


def _kind(value: Any, where: str) -> str:
    if isinstance(value, str):
        return "text"
    if isinstance(value, int | float | np.integer | np.floating | np.bool_ | Decimal):
        return "numbers"
    if isinstance(value, date | np.datetime64):
        return "times"
    if isinstance(value, timedelta | np.timedelta64):
        return "durations"
    if isinstance(value, complex | np.complexfloating):
        raise InputError(f"{where}: Complex data not supported: expected real numbers")
    raise InputError(f"{where}: argument must be a string or a number, but it has a {type(value).__name__}")


def _number(value: Any) -> float:
    """A number, seconds since 1970 of a time (in UTC without a zone), or seconds of a duration."""
    if isinstance(value, datetime):
        return (value.replace(tzinfo=value.tzinfo or UTC) - _EPOCH) / timedelta(microseconds=1) / 1e6
    if isinstance(value, date):
        return (datetime(value.year, value.month, value.day, tzinfo=UTC) - _EPOCH).total_seconds()
    if isinstance(value, timedelta):
        return value / timedelta(microseconds=1) / 1e6
    if isinstance(value, np.datetime64 | np.timedelta64):
        return float(array_column(np.array([value]), "")[0])
    try:
        return float(value)
    except OverflowError:
        return float("inf")  # an integer beyond float64, which is refused as infinity


@dataclass(frozen=True)
class Sequences:
    """Numeric sequences of features, padded at the end.

    Attributes:
        values: float64 [N, T, F]; NaN where missing, any value in the padding.
        lengths: valid frames of each row, int32 [N].
    """

    values: Float64[np.ndarray, "rows frames features"]
    lengths: np.ndarray

    @property
    def mask(self) -> np.ndarray:
        """Valid frames, bool [N, T]."""
        return np.arange(self.values.shape[1])[None, :] < self.lengths[:, None]

    def take(self, rows: np.ndarray) -> "Sequences":
        """Return the rows of a mask [N]."""
        return Sequences(self.values[rows], self.lengths[rows])


def is_sequences(X: Any) -> bool:
    """Return whether X has three axes, or is a list of arrays [T, F], which may differ in length."""
    if isinstance(X, list | tuple):
        return len(X) > 0 and all(getattr(each, "ndim", 0) == 2 for each in X)
    return getattr(X, "ndim", 0) == 3


def read_sequences(X: Any, lengths: Any = None, mask: Any = None) -> Sequences:
    """Read sequences [N, T, F] with lengths [N] or a mask [N, T], or a list of arrays [T, F].

    Raises:
        InputError: lengths or mask do not fit, the mask has holes, or a valid value is infinite.
    """
    if isinstance(X, list | tuple):
        if lengths is not None or mask is not None:
            raise InputError("lengths, mask: expected neither for a list of arrays, whose lengths are known")
        values, lengths = _padded(X)
    else:
        values = _sequence_values(X)
    count, frames, columns = values.shape
    for number, kind in ((count, "sample"), (frames, "frame"), (columns, "feature")):
        if not number:
            raise InputError(f"X: 0 {kind}(s) (shape={values.shape}) while a minimum of 1 is required.")
    if lengths is not None and mask is not None:
        raise InputError("lengths, mask: expected only one of them, got both")
    if mask is not None:
        lengths = _lengths_of(np.asarray(mask), count, frames)
    lengths = np.full(count, frames) if lengths is None else as_array(lengths, "lengths")
    if lengths.shape != (count,) or lengths.dtype.kind not in "iuf":
        raise InputError(f"lengths: expected {count} integers, got {lengths.dtype} of shape {list(lengths.shape)}")
    bad = ~((lengths >= 1) & (lengths <= frames) & (lengths == np.round(lengths)))
    if np.any(bad):
        raise InputError(f"lengths: expected integers from 1 to {frames}, got {lengths[bad][0]:g}")
    result = Sequences(values, lengths.astype(np.int32))
    if np.any(np.isinf(values) & result.mask[:, :, None]):
        raise InputError("X: expected finite or missing values in valid frames, but one is infinity (inf)")
    return result


def _sequence_values(X: Any) -> np.ndarray:
    array = as_array(X, "X")
    if array.dtype.kind not in "biuf":
        raise InputError(f"X: expected numbers in sequences, got {array.dtype}")
    return np.array(array, np.float64)


def _padded(X: Sequence[Any]) -> tuple[np.ndarray, np.ndarray]:
    """Arrays [T, F] of their own lengths as [N, T, F], and the lengths [N]."""
    if any(hasattr(each, "columns") for each in X):
        raise InputError(f"X: expected arrays [T, F] in a list, got {type(X[0]).__name__}; use frame.to_numpy()")
    arrays = [_sequence_values(each) for each in X]
    widths = {each.shape[1] for each in arrays}
    if len(widths) > 1:
        raise InputError(f"X: expected arrays [T, F] with the same F, got F = {sorted(widths)}")
    lengths = np.array([len(each) for each in arrays])
    values = np.full((len(arrays), max(int(lengths.max()), 1), widths.pop()), np.nan)
    for row, each in zip(values, arrays, strict=True):
        row[: len(each)] = each
    return values, lengths


def _lengths_of(mask: np.ndarray, count: int, frames: int) -> np.ndarray:
    if mask.shape != (count, frames) or mask.dtype != bool:
        raise InputError(f"mask: expected booleans of shape [{count}, {frames}], got {mask.dtype} {list(mask.shape)}")
    lengths = mask.sum(axis=1)
    if np.any(lengths == 0):
        raise InputError(f"mask: expected a valid frame in every row, but row {np.argmin(lengths)} has none")
    holes = np.flatnonzero(np.any(mask != (np.arange(frames) < lengths[:, None]), axis=1))
    if len(holes):
        raise InputError(f"mask: expected valid frames first and padding after them, but row {holes[0]} has a hole")
    return lengths
