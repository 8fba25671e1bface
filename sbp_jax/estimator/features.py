"""The features of an estimator: any table or array in, standardized float32 columns out.

A numeric column is centered at its median, divided by a robust scale, and compressed smoothly beyond three scales, so
that an outlier in a feature does not dominate the network. A missing value becomes the median, and a column that had
missing values in training gets a second one that marks them. A column of strings, categories or booleans becomes one
column per category, for at most `MAX_CATEGORIES` of the most frequent; other values, unknown ones too, set none of
them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
from jaxtyping import Float32, Float64

from sbp_jax.errors import InputError

MAX_CATEGORIES = 50
_MIN_CATEGORY_ROWS = 3  # a category of fewer rows is among the others: nothing can be learned about it
_IQR = 1.3489795003921634  # of a standard normal distribution
_LINEAR = 3.0  # scales from the median, up to which a value is nearly unchanged


@dataclass(frozen=True)
class Table:
    """Columns of features.

    Attributes:
        columns: arrays [N]: float64 with NaN where missing, or strings with None where missing.
        names: names of the columns; None for an array, which has none.
        rows: number of rows.
    """

    columns: tuple[np.ndarray, ...]
    names: tuple[str, ...] | None
    rows: int

    def matching(self, names: Sequence[str] | None, count: int, owner: str) -> "Table":
        """Return the columns of training in the order of training, found by name.

        Raises:
            InputError: columns are missing or of another number; `owner` names the estimator in the message.
        """
        if names is None or self.names is None:
            if len(self.columns) != count:
                raise InputError(
                    f"X has {len(self.columns)} features, but {owner} is expecting {count} features as input"
                )
            return self
        missing = [name for name in names if name not in self.names]
        extra = [name for name in self.names if name not in names]
        if missing or extra:
            parts = ["X: the feature names should match those that were passed during fit"]
            parts += [f"missing: {', '.join(missing)}"] if missing else []
            parts += [f"unknown: {', '.join(extra)}"] if extra else []
            raise InputError("; ".join(parts))
        where = [self.names.index(name) for name in names]
        return Table(tuple(self.columns[i] for i in where), tuple(names), self.rows)


def read_table(X: Any, name: str = "X") -> Table:
    """Read features from a NumPy or JAX array [N, F], a pandas, polars or pyarrow frame, or a list of rows.

    Raises:
        InputError: not two-dimensional, empty, infinite, or of a type that has no columns.
    """
    if hasattr(X, "toarray") and hasattr(X, "nnz"):
        raise InputError(f"{name}: sparse data were passed, but a dense array is required; use {name}.toarray()")
    frame = nw.from_native(X, pass_through=True, allow_series=False)
    if isinstance(frame, nw.LazyFrame):
        frame = frame.collect()
    if isinstance(frame, nw.DataFrame):
        columns = tuple(_frame_column(frame[column], column) for column in frame.columns)
        table = Table(columns, tuple(str(column) for column in frame.columns), len(frame))
    else:
        if hasattr(X, "dataframe") and not isinstance(X, np.ndarray):
            raise InputError(f"{name}: expected an array or a data frame, got {type(X).__name__}")
        table = _array_table(np.asarray(X), name)
    if not table.columns:
        raise InputError(f"{name}: 0 feature(s) (shape=({table.rows}, 0)) while a minimum of 1 is required.")
    for i, column in enumerate(table.columns):
        if column.dtype == np.float64 and np.any(np.isinf(column)):
            which = repr(table.names[i]) if table.names else str(i)
            raise InputError(f"{name}: expected finite or missing values, but column {which} contains infinity (inf)")
    return table


def _array_table(array: np.ndarray, name: str) -> Table:
    if array.ndim != 2:
        got = f"{array.ndim}D array instead: shape={array.shape}"
        raise InputError(f"{name}: Expected 2D array, got {got}. Reshape your data: one row per outcome [N, F]")
    if np.iscomplexobj(array):
        raise InputError(f"{name}: Complex data not supported: expected real numbers")
    if array.dtype.kind in "biuf":
        columns = np.asarray(array, np.float64)
        return Table(tuple(columns.T), None, len(array))
    return Table(tuple(_object_column(column, f"column {i}") for i, column in enumerate(array.T)), None, len(array))


def _frame_column(series: Any, name: str) -> np.ndarray:
    dtype = series.dtype
    if dtype.is_numeric() or dtype == nw.Boolean:
        return np.asarray(series.cast(nw.Float64).to_numpy(), np.float64)
    if dtype.is_temporal() and dtype != nw.Time:
        if dtype == nw.Duration:
            return np.asarray(series.dt.total_microseconds().cast(nw.Float64).to_numpy(), np.float64) / 1e6
        return np.asarray(series.dt.timestamp("ms").cast(nw.Float64).to_numpy(), np.float64) / 1e3
    return _object_column(np.array(series.to_list(), object), f"column {name!r}")


def _object_column(values: np.ndarray, name: str) -> np.ndarray:
    """Numbers as float64 if all values are numbers or missing; else strings, None where missing."""
    missing = np.array([value is None or (isinstance(value, float) and np.isnan(value)) for value in values], bool)
    known = values[~missing]
    if any(isinstance(value, complex) for value in known):
        raise InputError(f"X: Complex data not supported: {name} has complex numbers")
    result = np.full(len(values), None, object)
    if all(isinstance(value, int | float | np.number | np.bool_) for value in known):
        numbers = np.full(len(values), np.nan)
        numbers[~missing] = known.astype(np.float64)
        return numbers
    for i, value in zip(np.flatnonzero(~missing), known, strict=True):
        if not isinstance(value, str | bool | int | float | np.generic):
            raise InputError(f"X: argument must be a string or a number, but {name} has a {type(value).__name__}")
        result[i] = str(value)
    return result


@dataclass(frozen=True)
class Column:
    """How one column becomes features.

    Attributes:
        center, scale: median and scale of a numeric column.
        marked: whether a missing value is marked by a second feature.
        categories: categories with a feature each; None for a numeric column.
    """

    center: float = 0.0
    scale: float = 1.0
    marked: bool = False
    categories: tuple[str, ...] | None = None

    @classmethod
    def of(cls, values: np.ndarray) -> "Column":
        """Return the column of training values."""
        if values.dtype == object:
            found, counts = np.unique(np.array([v for v in values if v is not None], str), return_counts=True)
            frequent = np.argsort(-counts, kind="stable")[:MAX_CATEGORIES]
            enough = min(_MIN_CATEGORY_ROWS, counts.max(initial=1))
            return cls(categories=tuple(sorted(str(found[i]) for i in frequent if counts[i] >= enough)))
        known = values[~np.isnan(values)]
        center, scale = _center_scale(known)
        return cls(center, scale, marked=len(known) < len(values))

    @property
    def size(self) -> int:
        """Number of features."""
        return 1 + self.marked if self.categories is None else len(self.categories)

    def features(self, values: np.ndarray, name: str) -> list[np.ndarray]:
        """Return the features of values [N]; InputError if they are of the other kind than in training."""
        numeric = values.dtype != object
        if self.categories is not None:
            if numeric:
                raise InputError(f"X: expected categories in column {name}, as in training, got numbers")
            return [np.equal(values, category).astype(np.float32) for category in self.categories]
        if not numeric:
            if all(value is None for value in values):
                values = np.full(len(values), np.nan)
            else:
                raise InputError(f"X: expected numbers in column {name}, as in training, got text")
        missing = np.isnan(values)
        z = (np.where(missing, self.center, values) - self.center) / self.scale
        parts = [compressed(z).astype(np.float32)]
        return [*parts, missing.astype(np.float32)] if self.marked else parts


def compressed(z: np.ndarray) -> np.ndarray:
    """Return z / sqrt(1 + (z / 3)^2), which is nearly z up to 3 and never beyond it."""
    return z / np.sqrt(1 + np.square(np.clip(z / _LINEAR, -1e150, 1e150)))


def _center_scale(values: np.ndarray) -> tuple[float, float]:
    """Median and robust scale of known values: the interquartile range, else the standard deviation, else 1."""
    if not len(values):
        return 0.0, 1.0
    low, center, high = np.quantile(values, (0.25, 0.5, 0.75))
    for scale in ((high - low) / _IQR, float(np.std(values / max(np.max(np.abs(values)), 1e-300)))):
        if scale > 0 and np.isfinite(scale):
            wide = scale if scale == (high - low) / _IQR else scale * float(np.max(np.abs(values)))
            return float(center), float(wide) if wide > 0 else 1.0
    return float(center), 1.0


@dataclass(frozen=True)
class Features:
    """The features of a table, as chosen from the training rows.

    Attributes:
        columns: one per column of the table.
        names: names of the columns, or None.
    """

    columns: tuple[Column, ...]
    names: tuple[str, ...] | None

    @classmethod
    def of(cls, table: Table) -> "Features":
        """Return the features of training rows."""
        return cls(tuple(Column.of(column) for column in table.columns), table.names)

    @property
    def size(self) -> int:
        """Number of features, the last axis of `matrix`."""
        return sum(column.size for column in self.columns)

    def matrix(self, table: Table) -> Float32[np.ndarray, "rows features"]:
        """Return the features of a table whose columns match, see `Table.matching`."""
        parts: list[np.ndarray] = []
        for i, (column, values) in enumerate(zip(self.columns, table.columns, strict=True)):
            parts += column.features(values, repr(self.names[i]) if self.names else str(i))
        return np.stack(parts, axis=1) if parts else np.zeros((table.rows, 0), np.float32)

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON holds them."""
        return asdict(self)

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> "Features":
        """Return the features that `to_json` described."""

        def column(values: Mapping[str, Any]) -> Column:
            categories = values["categories"]
            return Column(**{**values, "categories": None if categories is None else tuple(categories)})

        names = saved["names"]
        return cls(tuple(column(each) for each in saved["columns"]), None if names is None else tuple(names))


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


def is_sequences(X: Any) -> bool:
    """Return whether X has three axes, or is a list of arrays [T, F] of their own lengths."""
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
            raise InputError("lengths, mask: expected neither for a list of arrays, which have their own lengths")
        widths = {np.shape(each)[1] for each in X}
        if len(widths) > 1:
            raise InputError(f"X: expected arrays [T, F] of one width F, got {sorted(widths)}")
        lengths = np.array([len(each) for each in X])
        values = np.full((len(X), max(int(lengths.max()), 1), widths.pop()), np.nan)
        for row, each in zip(values, X, strict=True):
            row[: len(each)] = each
    else:
        array = np.asarray(X)
        if array.dtype.kind not in "biuf":
            raise InputError(f"X: expected numbers in sequences, got {array.dtype}")
        values = np.array(array, np.float64)
    count, frames, _ = values.shape
    if lengths is not None and mask is not None:
        raise InputError("lengths, mask: expected one of them, got both")
    if mask is not None:
        mask = np.asarray(mask)
        if mask.shape != (count, frames) or mask.dtype != bool:
            raise InputError(f"mask: expected booleans of shape [{count}, {frames}], got {mask.dtype} {mask.shape}")
        lengths = mask.sum(axis=1)
        holes = np.flatnonzero(np.any(mask != (np.arange(frames) < lengths[:, None]), axis=1))
        if len(holes):
            raise InputError(f"mask: expected valid frames first and padding after them, but row {holes[0]} has a hole")
    lengths = np.full(count, frames) if lengths is None else np.asarray(lengths)
    if lengths.shape != (count,) or not np.all((lengths >= 1) & (lengths <= frames) & (lengths == np.round(lengths))):
        raise InputError(f"lengths: expected {count} integers from 1 to {frames}, got {lengths.tolist()[:5]}")
    result = Sequences(values, lengths.astype(np.int32))
    if np.any(np.isinf(values) & result.mask[:, :, None]):
        raise InputError("X: expected finite or missing values in valid frames, but one is infinity (inf)")
    return result


def sequence_features(sequences: Sequences) -> Features:
    """Return the features of training sequences, from the values of all valid frames."""
    valid = sequences.values[sequences.mask]
    return Features(tuple(Column.of(column) for column in valid.T), None)


def sequence_matrix(features: Features, sequences: Sequences) -> Float32[np.ndarray, "rows frames features"]:
    """Return the features of sequences, 0 in the padding; InputError for another number of columns."""
    count, frames, columns = sequences.values.shape
    if columns != len(features.columns):
        raise InputError(
            f"X has {columns} features per frame, but {len(features.columns)} are expected, as in training"
        )
    flat = np.where(sequences.mask[:, :, None], sequences.values, np.nan).reshape(-1, columns)
    matrix = features.matrix(Table(tuple(flat.T), None, len(flat))).reshape(count, frames, features.size)
    return np.where(sequences.mask[:, :, None], matrix, np.float32(0))
