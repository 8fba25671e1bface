"""The features of an estimator: standardized float32 columns from any table or array.

A numeric column is centered at its median, divided by a robust scale, and compressed logarithmically beyond one scale,
so that an outlier in a feature does not dominate the network, and large values still differ. Booleans are 0 and 1;
times are seconds. A missing value becomes the median, and a column that had missing values in training gets a second
feature that marks them. A column of strings or categories becomes one indicator for each of the `MAX_CATEGORIES` most
frequent categories; for all other values, including unknown ones, every indicator is 0. A column that did not vary in
training has no features.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Float32

from sbp_jax.errors import InputError
from sbp_jax.estimator.tables import Sequences, Table
from sbp_jax.estimator.target import NORMAL_IQR

MAX_CATEGORIES = 50
_MIN_CATEGORY_ROWS = 3  # a category with fewer rows gets no feature: nothing can be learned about it
_FARTHEST = 1e9  # scales from the median, beyond which values are equal
_HUGE = 1e150  # squares of larger numbers overflow


@dataclass(frozen=True)
class Column:
    """How one column becomes features.

    Attributes:
        kind: what the column held in training: numbers, categories, or nothing but missing values.
        center, scale: median and scale of numbers; the scale is 0 if they did not vary, and then they have no feature.
        marked: whether a second feature marks missing numbers.
        categories: categories with a feature each.
    """

    kind: Literal["numbers", "categories", "missing"]
    center: float = 0.0
    scale: float = 0.0
    marked: bool = False
    categories: tuple[str, ...] = ()

    @classmethod
    def of(cls, values: np.ndarray) -> "Column":
        """Return the column of training values."""
        if values.dtype == object:
            # not an array of text, in which every row would have the length of the longest one
            counts = Counter(str(value) for value in values if value is not None)
            frequent = sorted(counts, key=lambda category: (-counts[category], category))[:MAX_CATEGORIES]
            enough = min(_MIN_CATEGORY_ROWS, max(counts.values(), default=1))
            categories = sorted(each for each in frequent if enough <= counts[each] < len(values))
            return cls("categories", categories=tuple(categories))
        known = values[~np.isnan(values)]
        if not len(known):
            return cls("missing")
        center, scale = _center_scale(known)
        return cls("numbers", center, scale, marked=len(known) < len(values))

    @property
    def size(self) -> int:
        """Number of features."""
        return (self.scale > 0) + self.marked + len(self.categories)

    def features(self, values: np.ndarray, where: str) -> list[np.ndarray]:
        """Return the features of values [N].

        Args:
            values: float64, or strings with None where missing.
            where: the column in messages, "X: column 'a'".

        Raises:
            InputError: the values are not of the same kind as in training.
        """
        if self.kind == "missing":
            return []
        numeric = values.dtype != object
        if self.kind == "categories":
            if numeric and not np.all(np.isnan(values)):
                raise InputError(f"{where}: expected categories, as in training, got numbers")
            return [np.equal(values.astype(object), category).astype(np.float32) for category in self.categories]
        if not numeric:
            raise InputError(f"{where}: expected numbers, as in training, got text")
        missing, parts = np.isnan(values), []
        if self.scale > 0:
            with np.errstate(over="ignore"):  # compressed
                z = (np.where(missing, self.center, values) - self.center) / self.scale
            parts.append(compressed(z).astype(np.float32))
        return [*parts, missing.astype(np.float32)] if self.marked else parts


def compressed(z: np.ndarray) -> np.ndarray:
    """Return arcsinh(z), which is close to z near 0, and to sign(z) log |2 z| far from it; |z| is at most 1e9."""
    return np.arcsinh(np.clip(z, -_FARTHEST, _FARTHEST))


def _center_scale(values: np.ndarray) -> tuple[float, float]:
    """Median and robust scale of known values: the interquartile range, else the standard deviation; 0 if all equal."""
    if np.min(values) == np.max(values):
        return float(values[0]), 0.0
    largest = float(np.max(np.abs(values)))
    unit = largest if not 1 / _HUGE < largest < _HUGE else 1.0
    low, center, high = np.quantile(values / unit, (0.25, 0.5, 0.75))
    scale = (high - low) / NORMAL_IQR
    if not scale > 0:
        scale = float(np.std(values / largest)) * (largest / unit)
    limits = np.finfo(np.float64)
    with np.errstate(over="ignore"):
        return float(center * unit), float(np.clip(scale * np.float64(unit), limits.tiny, limits.max))


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
        """Number of features, the last axis of `matrix`; 1, a column of zeros, if no column has any."""
        return max(1, sum(column.size for column in self.columns))

    def matrix(self, table: Table) -> Float32[np.ndarray, "rows features"]:
        """Return the features of a table whose columns match, see `Table.matching`."""
        parts: list[np.ndarray] = []
        for i, (column, values) in enumerate(zip(self.columns, table.columns, strict=True)):
            parts += column.features(values, table.where(i))
        return np.stack(parts, axis=1) if parts else np.zeros((table.rows, 1), np.float32)

    def to_json(self) -> dict[str, Any]:
        """Return the fields as a JSON object."""
        return asdict(self)

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> "Features":
        """Return the features that `to_json` described."""
        columns = tuple(Column(**{**each, "categories": tuple(each["categories"])}) for each in saved["columns"])
        names = saved["names"]
        return cls(columns, None if names is None else tuple(names))


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
