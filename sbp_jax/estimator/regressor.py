"""`SBPRegressor`: arrays and data frames in, conditional distributions out."""

from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np
from flax import nnx
from jaxtyping import Float

from sbp_jax.distributions.base import Distribution
from sbp_jax.distributions.heads import Head
from sbp_jax.errors import InputError
from sbp_jax.estimator.features import (
    Features,
    Sequences,
    is_sequences,
    read_sequences,
    read_table,
    sequence_features,
    sequence_matrix,
)
from sbp_jax.estimator.fitting import Inputs, Settings, Trainable, fit, initial, make_network, raw_outputs
from sbp_jax.estimator.heads import make_builder
from sbp_jax.estimator.parameters import Base, NotFittedError
from sbp_jax.estimator.program import Program, Rows, Values, checked_censoring, in_outcome_unit
from sbp_jax.estimator.target import Bounds, Target, make_target
from sbp_jax.models.config import NetworkConfig
from sbp_jax.models.encoders import Statistic
from sbp_jax.models.network import Network

_MIN_ROWS = 2
_MIN_VALIDATION = 5  # fewer validation rows say nothing: all steps are taken instead
_SHORT = 300  # steps without validation


class SBPRegressor(Base):
    """Estimate the conditional distribution of an outcome given features, with its tails.

    A network maps the features to a `SplicedBinnedPareto`: bins between two thresholds, generalized Pareto tails beyond
    them. It is trained by maximum likelihood, with early stopping, in units of the outcome's own scale; the Jacobian is
    in every density. The class follows scikit-learn's contract and works without scikit-learn.

    Features are a table [N, F] (a NumPy or JAX array, or a pandas, polars or pyarrow frame), sequences [N, T, F] with
    `lengths` or a `mask`, or both (sequences as `X`, the table as `static`). Columns of a frame are found by name.
    Missing values are allowed; strings, categories and booleans are encoded (see `sbp_jax.estimator.features`).

    Args:
        tail_mass: probability of the lower and the upper tail, each below 1/2; 0 for no tail. A side with a bound has
            none.
        bins: number of bins, their edges in the outcome's unit, or "auto": 3 N^(1/3), between 8 and 80, with edges at
            quantiles of the training outcomes.
        head: "sbp", another family ("normal", "student_t", "hybrid_pareto", "two_tailed_hybrid_pareto", "binned",
            "blended_pareto"), or a `Head` for outcomes in units of the scale, `target_`.
        bounds: (low, high) of the outcome, None for no bound, or "auto"; see `make_target`.
        integer: whether outcomes are integers, whose distribution is `Quantized`; "auto" looks at them.
        atoms: values that have a probability of their own (`Deterministic` in a `Mixture`), or "auto".
        parameterization: of the tails, a name in `PARAMETERIZATIONS` that needs no support.
        shape_bounds: bounds of the tails' shapes.
        ensemble: number of networks whose `Mixture` is predicted; they are trained as one program, each with
            validation rows of its own.
        hidden: widths of the hidden layers.
        channels, layers, kernel_size: architecture of the TCN over sequences, see `NetworkConfig`.
        dropout: probability of dropping an activation in training.
        learning_rate, weight_decay: of AdamW.
        batch_size: rows per step, or "auto".
        max_epochs: maximum number of passes over the training rows, or "auto".
        patience: validations without improvement after which training stops.
        validation_fraction: share of the rows for early stopping, drawn at random; 0 trains for `max_epochs`.
        warm_start: continue from the parameters of the previous `fit`, with its features and bins.
        random_state: seed, `numpy.random.RandomState`, or None for a random one.
        progress: show a progress bar.

    Attributes:
        target_: unit, grid, bounds, atoms and bins that were chosen, a `Target`.
        features_: how each column became features.
        history_: one list per network of its validations: step, training and validation loss in nats, in units of the
            scale.
        n_iter_: number of steps of the network that trained longest.
        n_features_in_, feature_names_in_: columns of `X`; the latter only for frames.

    Raises:
        InputError: a ValueError, from any method, with one line that names the argument and what was expected.

    Example:
        >>> model = SBPRegressor(random_state=0).fit(X, y)  # doctest: +SKIP
        >>> d = model.predict_distribution(X_new)  # doctest: +SKIP
        >>> d.icdf(0.999), d.survival_function(1e6), d.crps(y_new)  # doctest: +SKIP
    """

    def __init__(
        self,
        tail_mass: tuple[float, float] = (0.05, 0.05),
        bins: int | Literal["auto"] | Any = "auto",
        head: str | Head = "sbp",
        *,
        bounds: Bounds | Literal["auto"] = "auto",
        integer: bool | Literal["auto"] = "auto",
        atoms: Any = "auto",
        parameterization: str = "bounded",
        shape_bounds: tuple[float, float] = (0.0, 0.95),
        ensemble: int = 1,
        hidden: tuple[int, ...] = (128, 128),
        channels: int = 32,
        layers: int = 3,
        kernel_size: int = 3,
        dropout: float = 0.1,
        learning_rate: float = 2e-3,
        weight_decay: float = 1e-2,
        batch_size: int | Literal["auto"] = "auto",
        max_epochs: int | Literal["auto"] = "auto",
        patience: int = 15,
        validation_fraction: float = 0.15,
        warm_start: bool = False,
        random_state: Any = None,
        progress: bool = False,
    ) -> None:
        self.tail_mass = tail_mass
        self.bins: Any = bins
        self.head: Any = head
        self.bounds: Any = bounds
        self.integer: Any = integer
        self.atoms = atoms
        self.parameterization = parameterization
        self.shape_bounds = shape_bounds
        self.ensemble = ensemble
        self.hidden = hidden
        self.channels = channels
        self.layers = layers
        self.kernel_size = kernel_size
        self.dropout = dropout
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.batch_size: Any = batch_size
        self.max_epochs: Any = max_epochs
        self.patience = patience
        self.validation_fraction = validation_fraction
        self.warm_start = warm_start
        self.random_state = random_state
        self.progress = progress

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        lengths: Any = None,
        mask: Any = None,
        static: Any = None,
        censoring: Any = None,
    ) -> "SBPRegressor":
        """Train on N rows and return the estimator.

        Args:
            X: features [N, F], or sequences [N, T, F] or a list of arrays [T, F].
            y: outcomes [N], finite.
            sample_weight: nonnegative weights [N] of the rows in the likelihood; rows of weight 0 are left out.
            lengths: valid frames of each sequence, integers [N].
            mask: valid frames, bool [N, T], in place of `lengths`: True first, then False.
            static: features [N, S] next to sequences.
            censoring: for each row, 0 (the outcome is y), 1 (it is at least y) or -1 (it is at most y).
        """
        config = self._network_config()
        warm = bool(self.warm_start) and hasattr(self, "params_")
        tables = _Tables.read(X, lengths, mask, static)
        outcome = _outcomes(y, tables.rows)
        weight, censored = _weights(sample_weight, tables.rows), checked_censoring(censoring, tables.rows)
        used = weight > 0
        tables, outcome, weight, censored = tables.take(used), outcome[used], weight[used], censored[used]
        if tables.rows < _MIN_ROWS:
            raise InputError(
                f"X: expected a minimum of {_MIN_ROWS} rows of positive weight to fit, got {tables.rows} "
                f"(n_samples = {tables.rows})"
            )
        if warm:
            target = self.target_
            target.check(outcome)
        else:
            exact = censored == 0
            target = make_target(outcome, exact, self.bins, self._masses(), self.bounds, self.integer, self.atoms)
            self.target_ = target
            self._describe(tables)
        inputs = self._inputs(tables)
        rows = Rows.of(target, outcome, censored, weight / np.mean(weight))
        values = Values.of(target)
        builder = make_builder(self.head, target, self.parameterization, self.shape_bounds)
        program = Program(builder, len(target.atoms), bool(target.step), bool(np.any(censored != 0)))
        seed = _seed(self.random_state)
        network = make_network(config, inputs, program.num_outputs, seed)
        self._center(network, program, target, outcome, values)
        graph, params, constants = nnx.split(network, nnx.Param, Statistic)
        trainable = Trainable(graph, program)
        random = np.random.default_rng(seed)
        training, validation = self._split(len(outcome), random)
        settings = self._settings(len(training[0]), validation is not None, seed)
        start = self.params_ if warm else initial(trainable, network, config, inputs, settings)
        if warm:
            constants = self._constants
        del params
        fitted = fit(
            trainable, start, constants, inputs, rows, values, training, validation, settings, bool(self.progress)
        )
        self._trainable, self._constants, self.params_ = trainable, constants, fitted.params
        self.history_ = [record["history"] for record in fitted.records]
        self.n_iter_ = max(history[-1]["step"] for history in self.history_)
        return self

    def predict_distribution(
        self, X: Any, *, lengths: Any = None, mask: Any = None, static: Any = None
    ) -> Distribution:
        """Return the conditional distribution of each row's outcome, batch shape [N].

        It is a `SplicedBinnedPareto` with one network and head "sbp"; `Quantized` for integers, a `Mixture` for an
        ensemble or with atoms, `Shifted` where float32 does not resolve the outcomes.
        """
        raw = self._raw(X, lengths, mask, static)
        members = raw.shape[1] > 1
        raw = raw if members else raw[:, 0]
        return in_outcome_unit(self._trainable.program, jax.numpy.asarray(raw), self.target_, members)

    def predict(
        self,
        X: Any,
        which: str | float = "median",
        *,
        lengths: Any = None,
        mask: Any = None,
        static: Any = None,
    ) -> Float[np.ndarray, " rows"]:
        """Return a point of each row's distribution, float64 [N].

        Args:
            X, lengths, mask, static: as in `fit`.
            which: "median", "mean", or the probability of a quantile.
        """
        if isinstance(which, str):
            if which not in ("median", "mean"):
                raise InputError(f"which: expected 'median', 'mean' or a probability, got {which!r}")
        elif not 0 <= which <= 1:
            raise InputError(f"which: expected a probability from 0 to 1, got {which}")
        raw = self._raw(X, lengths, mask, static)
        level = 0.5 if isinstance(which, str) else float(which)
        parts = _in_chunks(
            lambda part: _points(self._trainable.program, which == "mean", part, self._values, np.float32(level)), raw
        )
        return parts.astype(np.float64) + self.target_.loc

    def score(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        lengths: Any = None,
        mask: Any = None,
        static: Any = None,
    ) -> float:
        """Return the mean log score, the mean of log f(y) in nats, larger is better; see `log_score`."""
        scores = self.log_score(X, y, lengths=lengths, mask=mask, static=static)
        return float(np.average(scores, weights=_weights(sample_weight, len(scores))))

    def log_score(
        self, X: Any, y: Any, *, lengths: Any = None, mask: Any = None, static: Any = None
    ) -> Float[np.ndarray, " rows"]:
        """Return the log-density of each outcome, its log-probability on a grid or at an atom, [N] in nats."""
        raw = self._raw(X, lengths, mask, static)
        outcome = _outcomes(y, len(raw))
        centered = (outcome - self.target_.loc).astype(np.float32)
        return _in_chunks(
            lambda part, y: _log_probs(self._trainable.program, part, y, self._values), raw, centered
        ).astype(np.float64)

    def save(self, path: str | Path) -> None:
        """Write the fitted estimator to a folder, for `sbp_jax.load`; an existing one is replaced.

        The format is that of checkpoints: arrays and a JSON record with digests, without code. See
        `sbp_jax.estimator.saving`.
        """
        from sbp_jax.estimator.saving import save

        self._check_fitted()
        save(self, Path(path))

    @property
    def _values(self) -> Values:
        return Values.of(self.target_)

    def _check_fitted(self) -> None:
        if not hasattr(self, "params_"):
            raise NotFittedError(f"this {type(self).__name__} is not fitted yet: call fit first")

    def _raw(self, X: Any, lengths: Any, mask: Any, static: Any) -> np.ndarray:
        self._check_fitted()
        inputs = self._inputs(_Tables.read(X, lengths, mask, static))
        return raw_outputs(self._trainable, self.params_, self._constants, inputs)

    def _describe(self, tables: "_Tables") -> None:
        """Choose the features of training rows, and set the attributes that scikit-learn expects."""
        table, sequences = tables.table, tables.sequences
        self.features_ = None if table is None else Features.of(table)
        self.sequence_features_ = None if sequences is None else sequence_features(sequences)
        named = table if sequences is None else None
        self.n_features_in_ = sequences.values.shape[2] if sequences is not None else len(table.columns)  # pyright: ignore[reportOptionalMemberAccess]
        if hasattr(self, "feature_names_in_"):
            del self.feature_names_in_
        if named is not None and named.names is not None:
            self.feature_names_in_ = np.array(named.names, object)

    def _inputs(self, tables: "_Tables") -> Inputs:
        """The network's inputs; InputError unless the columns are those of training."""
        owner = type(self).__name__
        for name, given, expected in (
            ("X: sequences", tables.sequences, self.sequence_features_),
            ("static" if tables.sequences is not None else "X: a table", tables.table, self.features_),
        ):
            if (given is None) != (expected is None):
                state = "got none" if given is None else "training had none"
                raise InputError(f"{name}: expected the same kinds of inputs as in training, {state}")
        count = tables.rows
        if tables.sequences is None or self.sequence_features_ is None:
            frames, lengths = np.zeros((count, 1, 0), np.float32), np.ones(count, np.int32)
        else:
            frames = sequence_matrix(self.sequence_features_, tables.sequences)
            lengths = tables.sequences.lengths
        static = np.zeros((count, 0), np.float32)
        if tables.table is not None and self.features_ is not None:
            table = tables.table.matching(self.features_.names, len(self.features_.columns), owner)
            static = self.features_.matrix(table)
        return Inputs(frames, lengths, static)

    def _network_config(self) -> NetworkConfig:
        for name in ("ensemble", "patience"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
                raise InputError(f"{name}: expected an integer of at least 1, got {value!r}")
        if not 0 <= self.validation_fraction < 1:
            raise InputError(f"validation_fraction: expected a share from 0 to below 1, got {self.validation_fraction}")
        try:
            return NetworkConfig(
                encoder="flat",
                channels=self.channels,
                layers=self.layers,
                kernel_size=self.kernel_size,
                hidden=tuple(self.hidden),
                dropout=self.dropout,
            )
        except InputError as error:
            raise InputError(str(error).removeprefix("network.").replace("-", "_")) from error

    def _masses(self) -> tuple[float, float]:
        try:
            lower, upper = (float(mass) for mass in self.tail_mass)
        except (TypeError, ValueError):
            raise InputError(f"tail_mass: expected two probabilities, got {self.tail_mass!r}") from None
        if not (0 <= lower < 0.5 and 0 <= upper < 0.5):
            raise InputError(f"tail_mass: expected probabilities from 0 to below 1/2, got {self.tail_mass}")
        return lower, upper

    def _center(self, network: Network, program: Program, target: Target, y: np.ndarray, values: Values) -> None:
        """Set the network's offset, so that its first prediction is the marginal distribution."""
        rest = y[~np.isin(y, target.atoms)]
        raw = program.builder.init_from_data(target.standardized(rest), values)
        if target.atoms:
            shares = np.array([1 - sum(target.shares), *target.shares])
            raw = np.concatenate([np.log(shares), raw])
        network.offset.set_value(jax.numpy.asarray(raw, jax.numpy.float32))

    def _split(self, count: int, random: np.random.Generator) -> tuple[list[np.ndarray], list[np.ndarray] | None]:
        """Training and validation rows of each member; the members' validation rows differ as much as they can."""
        held_out = round(self.validation_fraction * count)
        if held_out < _MIN_VALIDATION:
            return [np.arange(count)] * self.ensemble, None
        order = random.permutation(count)
        training, validation = [], []
        for i in range(self.ensemble):
            first = (i * held_out) % (count - held_out + 1)
            validation.append(order[first : first + held_out])
            training.append(np.concatenate([order[:first], order[first + held_out :]]))
        return training, validation

    def _settings(self, count: int, validated: bool, seed: int) -> Settings:
        from sbp_jax.estimator.fitting import STEPS_PER_CALL

        batch = int(np.clip(1 << (count // 20).bit_length(), 32, 512)) if self.batch_size == "auto" else self.batch_size
        batch = min(int(batch), count)
        if batch < 1:
            raise InputError(f"batch_size: expected at least 1, got {self.batch_size}")
        per_epoch = count / batch
        steps = _SHORT if not validated else int(np.clip(60 * per_epoch, 2000, 8000))
        steps = steps if self.max_epochs == "auto" else max(1, round(self.max_epochs * per_epoch))
        per_round = STEPS_PER_CALL * max(1, round(steps / 100 / STEPS_PER_CALL))
        return Settings(
            members=int(self.ensemble),
            batch_size=batch,
            rounds=-(-steps // per_round),
            steps_per_round=per_round,
            patience=int(self.patience),
            learning_rate=float(self.learning_rate),
            weight_decay=float(self.weight_decay),
            dropout=float(self.dropout),
            warmup=0.02,
            seed=seed,
        )

    def __sklearn_tags__(self) -> Any:
        """Return scikit-learn's description of the estimator: missing values and text are allowed."""
        tags = super().__sklearn_tags__()  # pyright: ignore[reportAttributeAccessIssue]
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        tags.input_tags.three_d_array = True
        tags.non_deterministic = self.random_state is None
        return tags


class _Tables:
    """The features of a call: a table, sequences, or both."""

    def __init__(self, table: Any, sequences: Sequences | None):
        self.table, self.sequences = table, sequences
        self.rows = len(sequences.lengths) if sequences is not None else table.rows

    @classmethod
    def read(cls, X: Any, lengths: Any, mask: Any, static: Any) -> "_Tables":
        if not is_sequences(X):
            if static is not None or lengths is not None or mask is not None:
                raise InputError("lengths, mask, static: expected only next to sequences X [N, T, F]")
            table = read_table(X)
            if not table.rows:
                raise InputError(f"X: 0 sample(s) (shape=(0, {len(table.columns)})) while a minimum of 1 is required.")
            return cls(table, None)
        sequences = read_sequences(X, lengths, mask)
        table = None if static is None else read_table(static, "static")
        if table is not None and table.rows != len(sequences.lengths):
            raise InputError(f"static: expected {len(sequences.lengths)} rows, as X has, got {table.rows}")
        return cls(table, sequences)

    def take(self, rows: np.ndarray) -> "_Tables":
        """The rows of a mask."""
        from dataclasses import replace

        if np.all(rows):
            return self
        table, sequences = self.table, self.sequences
        if table is not None:
            table = replace(table, columns=tuple(each[rows] for each in table.columns), rows=int(rows.sum()))
        if sequences is not None:
            sequences = Sequences(sequences.values[rows], sequences.lengths[rows])
        return _Tables(table, sequences)


def _outcomes(y: Any, count: int) -> np.ndarray:
    """Outcomes as float64 [N]; InputError unless they are finite numbers, one per row."""
    if y is None:
        raise InputError("requires y to be passed, but the target y is None")
    array = np.asarray(y)
    if array.ndim == 2 and array.shape[1] == 1:
        import warnings

        warnings.warn("A column-vector y was passed when a 1d array was expected", UserWarning, stacklevel=3)
        array = array[:, 0]
    if array.ndim != 1:
        raise InputError(f"y: expected one outcome per row, 1d array, got shape {list(array.shape)}")
    if np.iscomplexobj(array):
        raise InputError("y: Complex data not supported: expected real numbers")
    try:
        array = array.astype(np.float64)
    except (TypeError, ValueError):
        raise InputError(f"y: Unknown label type: expected numbers, got {array.dtype}") from None
    if len(array) != count:
        raise InputError(f"y: expected {count} outcomes, one per row of X, got {len(array)} (inconsistent numbers)")
    bad = np.flatnonzero(~np.isfinite(array))
    if len(bad):
        raise InputError(f"y: expected finite outcomes, but row {bad[0]} is {array[bad[0]]} (NaN or infinity (inf))")
    return array


def _weights(weight: Any, count: int) -> np.ndarray:
    if weight is None:
        return np.ones(count)
    array = np.asarray(weight, np.float64)
    if array.ndim == 0:
        array = np.full(count, float(array))
    if array.shape != (count,):
        raise InputError(f"sample_weight: expected {count} weights, got shape {list(array.shape)}")
    if not np.all(np.isfinite(array) & (array >= 0)) or not np.any(array > 0):
        raise InputError("sample_weight: expected finite, nonnegative weights that are not all 0")
    return array


def _seed(state: Any) -> int:
    if state is None:
        return int(np.random.default_rng().integers(2**31))
    if isinstance(state, np.random.RandomState):
        return int(state.randint(2**31 - 1))
    if isinstance(state, np.random.Generator):
        return int(state.integers(2**31))
    if not isinstance(state, int | np.integer) or not 0 <= state < 2**32:
        raise InputError(f"random_state: expected an integer from 0 to 2^32 - 1, a RandomState or None, got {state!r}")
    return int(state)


def _in_chunks(function: Any, *arrays: np.ndarray, size: int = 16384) -> np.ndarray:
    """A function of batches, called on equal chunks, the last one padded with its first row."""
    count = len(arrays[0])
    size = min(size, 1 << max(count - 1, 0).bit_length())
    parts = []
    for first in range(0, count, size):
        rows = min(size, count - first)
        padded = (
            np.pad(a[first : first + rows], ((0, size - rows), *((0, 0),) * (a.ndim - 1)), "edge") for a in arrays
        )
        parts.append(np.asarray(function(*padded))[:rows])
    return np.concatenate(parts)


def _shaped(raw: Any) -> tuple[Any, bool]:
    return (raw, True) if raw.shape[1] > 1 else (raw[:, 0], False)


@jax.jit(static_argnums=(0, 1))
def _points(program: Program, mean: bool, raw: jax.Array, values: Values, level: jax.Array) -> jax.Array:
    raw, members = _shaped(raw)
    dist = program.distribution(raw, values, members)
    return dist.mean() if mean else dist.icdf(level)


@jax.jit(static_argnums=0)
def _log_probs(program: Program, raw: jax.Array, y: jax.Array, values: Values) -> jax.Array:
    raw, members = _shaped(raw)
    return program.distribution(raw, values, members).log_prob(y)
