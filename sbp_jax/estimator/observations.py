"""The arguments of an estimator's methods: features, outcomes and weights, read and checked."""

import warnings
from decimal import Decimal
from typing import Any

import numpy as np
from jaxtyping import Int

from sbp_jax.errors import InputError
from sbp_jax.estimator.features import Features, sequence_matrix
from sbp_jax.estimator.fitting import Inputs
from sbp_jax.estimator.parameters import DataConversionWarning
from sbp_jax.estimator.tables import Sequences, Table, as_array, is_missing, is_sequences, read_sequences, read_table
from sbp_jax.estimator.target import MAX_ABSOLUTE


class Tables:
    """The features of a call: a table, sequences, or both.

    Attributes:
        table: features that do not vary in time, or None.
        sequences: sequences, or None.
        rows: number of rows.
    """

    def __init__(self, table: Table | None, sequences: Sequences | None, rows: int):
        self.table, self.sequences, self.rows = table, sequences, rows

    @classmethod
    def read(cls, X: Any, lengths: Any = None, mask: Any = None, static: Any = None) -> "Tables":
        """Return the features of the arguments of a method; see `SBPRegressor.fit`.

        Raises:
            InputError: an argument cannot be read, or does not fit the others.
        """
        if not is_sequences(X):
            if static is not None or lengths is not None or mask is not None:
                raise InputError("lengths, mask, static: expected only with sequences X [N, T, F]")
            table = read_table(X)
            return cls(table, None, table.rows)
        sequences = read_sequences(X, lengths, mask)
        table = None if static is None else read_table(static, "static")
        count = len(sequences.lengths)
        if table is not None and table.rows != count:
            raise InputError(f"static: expected {count} rows, as X has, got {table.rows}")
        return cls(table, sequences, count)

    def take(self, rows: np.ndarray) -> "Tables":
        """Return the rows of a mask [N]."""
        if np.all(rows):
            return self
        table = None if self.table is None else self.table.take(rows)
        sequences = None if self.sequences is None else self.sequences.take(rows)
        return Tables(table, sequences, int(np.sum(rows)))

    def inputs(self, features: Features | None, sequence_features: Features | None, owner: str) -> Inputs:
        """Return the network's inputs.

        Args:
            features, sequence_features: of the table and of the sequences in training, or None.
            owner: the estimator in messages.

        Raises:
            InputError: the inputs or their columns differ from those of training.
        """
        if (self.sequences is None) != (sequence_features is None):
            expected, given = (
                ("a table [N, F]", "sequences") if self.sequences is not None else ("sequences", "a table")
            )
            raise InputError(f"X: expected {expected}, as in training, got {given}")
        if (self.table is None) != (features is None):
            state = "got none" if self.table is None else "training had none"
            raise InputError(f"static: expected the same inputs as in training, {state}")
        if self.sequences is None or sequence_features is None:
            frames, lengths = np.zeros((self.rows, 1, 0), np.float32), np.ones(self.rows, np.int32)
        else:
            frames, lengths = sequence_matrix(sequence_features, self.sequences), self.sequences.lengths
        static = np.zeros((self.rows, 0), np.float32)
        if self.table is not None and features is not None:
            static = features.matrix(self.table.matching(features.names, len(features.columns), owner))
        return Inputs(frames, lengths, static)


def read_outcomes(y: Any, count: int) -> np.ndarray:
    """Return outcomes as float64 [N].

    Args:
        y: numbers [N]; a column [N, 1] raises a warning.
        count: expected number of outcomes N.

    Raises:
        InputError: they are not finite numbers, one per row.
    """
    if y is None:
        raise InputError("requires y to be passed, but the target y is None")
    if hasattr(y, "toarray") and hasattr(y, "nnz"):
        raise InputError("y: sparse data were passed, but a dense array is required; use y.toarray()")
    array = as_array(y, "y")
    if array.ndim == 2 and array.shape[1] == 1:
        warnings.warn(
            "A column-vector y was passed when a 1d array was expected; use y.ravel()",
            DataConversionWarning,
            stacklevel=3,
        )
        array = array[:, 0]
    if array.ndim != 1:
        raise InputError(f"y: expected one outcome per row, 1d array, got shape {list(array.shape)}")
    if len(array) != count:
        raise InputError(f"y: expected {count} outcomes, one per row of X, got {len(array)} (inconsistent numbers)")
    outcomes = _numbers(array, "y: Unknown label type")
    bad = np.flatnonzero(~np.isfinite(outcomes))
    if len(bad):
        raise InputError(f"y: expected finite outcomes, but row {bad[0]} is {outcomes[bad[0]]} (NaN or infinity (inf))")
    bad = np.flatnonzero(np.abs(outcomes) > MAX_ABSOLUTE)
    if len(bad):
        raise InputError(
            f"y: expected outcomes of magnitude at most {MAX_ABSOLUTE:g}, but row {bad[0]} is {outcomes[bad[0]]:g}"
        )
    return outcomes


def _numbers(array: np.ndarray, what: str) -> np.ndarray:
    """Numbers as float64, NaN where missing; text that looks like numbers is refused, as are booleans and times."""
    if array.dtype.kind in "iuf":
        return array.astype(np.float64)
    if array.dtype.kind != "O":
        raise InputError(f"{what}: expected numbers, got {array.dtype}")
    missing = np.array([is_missing(value) for value in array.flat], bool).reshape(array.shape)
    for value in array[~missing]:
        if isinstance(value, complex | np.complexfloating):
            raise InputError(f"{what}: Complex data not supported: expected real numbers")
        if isinstance(value, bool | np.bool_) or not isinstance(value, int | float | np.number | Decimal):
            raise InputError(f"{what}: expected numbers, got a {type(value).__name__}")
    try:
        return np.where(missing, np.nan, array).astype(np.float64)
    except OverflowError:
        raise InputError(f"{what}: expected numbers that float64 can hold, got a larger integer") from None


def read_weights(weight: Any, count: int) -> np.ndarray:
    """Return weights as float64 [N], ones if None; a number is the weight of every row.

    Raises:
        InputError: a weight is negative or not finite, all are zero, or their number is not N.
    """
    if weight is None:
        return np.ones(count)
    array = as_array(weight, "sample_weight")
    array = array.astype(np.float64) if array.dtype == bool else _numbers(array, "sample_weight")
    if array.ndim == 0:
        array = np.full(count, float(array))
    if array.shape != (count,):
        raise InputError(f"sample_weight: expected {count} weights, got shape {list(array.shape)}")
    bad = np.flatnonzero(~(np.isfinite(array) & (array >= 0)))
    if len(bad):
        raise InputError(f"sample_weight: expected finite, nonnegative weights, but row {bad[0]} is {array[bad[0]]}")
    if not np.any(array > 0):
        raise InputError("sample_weight: expected at least one non-zero number, but all weights are zero")
    return array


def read_groups(groups: Any, count: int) -> Int[np.ndarray, " rows"]:
    """Return the number of each row's group, [N]; a group for each row if None.

    Raises:
        InputError: there is not one group per row, or one is missing.
    """
    if groups is None:
        return np.arange(count)
    array = as_array(groups, "groups")
    if array.shape != (count,):
        raise InputError(f"groups: expected {count} groups, one per row of X, got shape {list(array.shape)}")
    missing = np.array([is_missing(value) for value in array.tolist()], bool)
    if np.any(missing):
        raise InputError(f"groups: expected a group for every row, but row {np.argmax(missing)} has none")
    return np.unique(array.astype(str), return_inverse=True)[1]


def relative_weights(weight: np.ndarray) -> np.ndarray:
    """Return weights [N] divided by their mean, float32; weights that underflow relative to the largest are 0."""
    weight = weight / np.max(weight)  # a sum could overflow
    used = weight.astype(np.float32) > 0
    return np.where(used, weight / np.mean(weight[used]), 0.0).astype(np.float32)
