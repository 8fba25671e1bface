"""`SBPRegressor`: conditional distributions from arrays and data frames."""

from pathlib import Path
from typing import Any, Literal, no_type_check

import jax
import numpy as np
from jaxtyping import Float

from sbp_jax.distributions.base import Distribution
from sbp_jax.distributions.heads import Head
from sbp_jax.errors import InputError
from sbp_jax.estimator.arguments import check_arguments, is_integer, quantile_level, seed_of
from sbp_jax.estimator.features import Features, sequence_features
from sbp_jax.estimator.fitting import (
    MIN_VALIDATION,
    STEPS_PER_CALL,
    Settings,
    fit,
    initial,
    mean_outputs,
)
from sbp_jax.estimator.heads import BINNED, make_builder
from sbp_jax.estimator.observations import Tables, read_groups, read_outcomes, read_weights, relative_weights
from sbp_jax.estimator.parameters import STRUCTURE, Estimator
from sbp_jax.estimator.program import Program, Rows, Values, checked_censoring, in_outcome_unit
from sbp_jax.estimator.target import Bounds, Target, check_censored, make_target
from sbp_jax.models.config import NetworkConfig
from sbp_jax.training.checkpoints import named
from sbp_jax.training.compiled import compiled_before

_MIN_ROWS = 2
_NETWORKS = ((10_000, 8), (30_000, 4), (np.inf, 1))  # maximum number of rows, networks that are averaged
_CHUNK = 16384  # rows whose points or scores are computed at once
_SHORT = 300  # steps without validation


class SBPRegressor(Estimator):
    """Estimate the conditional distribution of an outcome given features, with its tails.

    A network maps the features to a `SplicedBinnedPareto`: bins between two thresholds, generalized Pareto tails beyond
    them. It is trained by maximum likelihood, with early stopping, in units of the outcome's own scale; every density
    includes the Jacobian. The class follows scikit-learn's contract but does not need scikit-learn.

    Features are a table [N, F] (a NumPy or JAX array, or a pandas, polars or pyarrow frame), sequences [N, T, F] with
    `lengths` or a `mask`, or both (sequences as `X`, the table as `static`). Columns of a frame are matched by name.
    Missing values are allowed; strings, categories, booleans and times are encoded (see `sbp_jax.estimator.features`).

    Args:
        tail_mass: probability of the lower and the upper tail, each below 1/2; 0 for no tail. A side with a bound has
            no tail.
        bins: number of bins, their edges in the outcome's unit, or "auto": 3 N^(1/3), between 8 and 80, with edges at
            quantiles of the training outcomes.
        head: "sbp", another family ("normal", "student_t", "hybrid_pareto", "two_tailed_hybrid_pareto", "binned",
            "blended_pareto"), or a `Head` for outcomes in units of the scale in `target_`.
        bounds: (low, high) of the outcome, None for no bound, or "auto"; see `make_target`.
            Only families with bins support bounds.
        integer: whether outcomes are integers, so that distributions are `Quantized`; "auto": all are, and their scale
            is at most 10,000.
        atoms: values that have a probability of their own (`Deterministic` in a `Mixture`), or "auto"; see
            `make_target`.
        parameterization: of the tails, a name in `PARAMETERIZATIONS` that does not require a support.
        shape_bounds: bounds of the tails' shapes.
        networks: number of networks whose outputs are averaged. This reduces the variance of a prediction, which is
            still one distribution of the head. They are trained as one program, each with its own validation rows.
            "auto": 8 up to 10,000 rows, 4 up to 30,000, then 1.
        ensemble: number of such averages; with more than one, the prediction is their `Mixture`.
        hidden: widths of the hidden layers.
        channels, layers, kernel_size: architecture of the TCN over sequences, see `NetworkConfig`.
        dropout: probability of dropping an activation in training.
        learning_rate, weight_decay: of AdamW.
        batch_size: rows per step. "auto": the power of two above a twentieth of the rows, from 32 to 512.
        max_epochs: maximum number of passes over the training rows. "auto": 60, but from 2,000 to 8,000 steps; without
            validation rows, 300 steps.
        patience: validations without improvement after which training stops.
        validation_fraction: share of the rows for early stopping, drawn at random; 0, or a share of fewer than 5 rows,
            trains for `max_epochs`.
        warm_start: continue from the parameters of the previous `fit`, with its `features_` and `target_`, whatever the
            arguments for them are now; `history_` and `n_iter_` continue too.
        random_state: seed, `numpy.random.RandomState` or `Generator`, or None for a random one.
        progress: show a progress bar.

    Attributes:
        target_: the unit, grid, bounds, atoms and bins that were chosen, a `Target`.
        features_: how each column is converted to features.
        history_: for each network, a list of its validations: step, training loss and validation loss, in nats, for
            outcomes in units of the scale.
        n_iter_: number of steps of the network that trained longest.
        n_features_in_, feature_names_in_: columns of `X`; the latter only for frames.

    Raises:
        InputError: a ValueError, raised by any method; its one line names the argument and what was expected.

    Example:
        >>> model = SBPRegressor(random_state=0).fit(X, y)  # doctest: +SKIP
        >>> d = model.predict_distribution(X_new)  # doctest: +SKIP
        >>> d.icdf(0.999), d.survival_function(1e6), d.crps(y_new)  # doctest: +SKIP
    """

    @no_type_check  # `fit` names the argument that is wrong
    def __init__(
        self,
        tail_mass: tuple[float, float] = (0.05, 0.05),
        bins: int | Literal["auto"] | Any = "auto",
        head: str | Head = "sbp",
        *,
        bounds: Bounds | Literal["auto"] = "auto",
        integer: bool | Literal["auto"] = "auto",
        atoms: Any = "auto",
        parameterization: str = "proportional",
        shape_bounds: tuple[float, float] = (0.0, 0.95),
        networks: int | Literal["auto"] = "auto",
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
        self.networks: Any = networks
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
        groups: Any = None,
    ) -> "SBPRegressor":
        """Train on N rows and return the estimator.

        Args:
            X: features [N, F], or sequences [N, T, F] or a list of arrays [T, F].
            y: outcomes [N], finite.
            sample_weight: nonnegative weights [N] of the rows in the likelihood; rows of weight 0 are left out.
            lengths: number of valid frames of each sequence, integers [N].
            mask: valid frames, bool [N, T], instead of `lengths`: True first, then False.
            static: features [N, S] in addition to sequences.
            censoring: for each row, 0 (the outcome is y), 1 (it is at least y) or -1 (it is at most y).
            groups: group of each row [N], integers or text, such as a person or a day whose rows depend on each other:
                validation parts consist of entire groups. None: each row is its own group.
        """
        check_arguments(self.get_params(deep=False))
        warm = bool(self.warm_start) and hasattr(self, "params_")
        tables = Tables.read(X, lengths, mask, static)
        outcome = read_outcomes(y, tables.rows)
        weight = relative_weights(read_weights(sample_weight, tables.rows))
        censored, used = checked_censoring(censoring, tables.rows), weight > 0
        group = read_groups(groups, tables.rows)[used]
        tables, outcome, weight, censored = tables.take(used), outcome[used], weight[used], censored[used]
        if tables.rows < _MIN_ROWS:
            raise InputError(
                f"X: expected a minimum of {_MIN_ROWS} rows of positive weight to fit, got {tables.rows} "
                f"(n_samples = {tables.rows})"
            )
        if warm:
            target, features, sequences = self.target_, self.features_, self.sequence_features_
            target.check(outcome)
        else:
            target = self._target(outcome, censored == 0)
            features = None if tables.table is None else Features.of(tables.table)
            sequences = None if tables.sequences is None else sequence_features(tables.sequences)
        inputs = tables.inputs(features, sequences, type(self).__name__)
        check_censored(outcome, censored, target)
        rows, values = Rows.of(target, outcome, censored, weight), Values.of(target)
        program = self._program(target, bool(np.any(censored != 0)))
        seed, members = seed_of(self.random_state), self._members(len(outcome))
        training, validation = self._split(group, members, np.random.default_rng(seed))
        settings = self._settings(max(map(len, training)), members, validation is not None, seed)
        first = initial(self._network_config(), inputs, program, _marginal(program, target, outcome, values), settings)
        if warm:
            first = first._replace(params=self._continued(first.params), constants=self._constants)
        fitted = fit(first, inputs, rows, values, training, validation, settings, bool(self.progress))
        # set at the end: a fit that fails leaves the previous one as it was
        earlier = self.history_ if warm else [[] for _ in fitted.records]
        self._trainable, self._constants = first.trainable, first.constants
        self.params_, self.target_ = fitted.params, target
        self._fitted_with = {name: getattr(self, name) for name in STRUCTURE}
        self.history_ = [_joined(old, record["history"]) for old, record in zip(earlier, fitted.records, strict=True)]
        self.n_iter_ = max(history[-1]["step"] for history in self.history_)
        self._describe(features, sequences)
        return self

    def predict_distribution(
        self, X: Any, *, lengths: Any = None, mask: Any = None, static: Any = None
    ) -> Distribution:
        """Return the conditional distribution of each row's outcome, batch shape [N].

        With head "sbp" it is a `SplicedBinnedPareto`; `Quantized` for integers, a `Mixture` for an ensemble or with
        atoms, and `Shifted` if float32 cannot resolve the outcomes.
        """
        outputs, members = _shaped(self._outputs(X, lengths, mask, static))
        return in_outcome_unit(self._trainable.program, jax.numpy.asarray(outputs), self.target_, members)

    def predict(
        self,
        X: Any,
        which: str | float | Any = "median",
        *,
        lengths: Any = None,
        mask: Any = None,
        static: Any = None,
    ) -> Float[np.ndarray, " rows"]:
        """Return the median, mean or a quantile of each row's distribution, float64 [N].

        Args:
            X, lengths, mask, static: as in `fit`.
            which: "median", "mean", or the probability of a quantile.
        """
        level = quantile_level(which)
        outputs, program, values = self._outputs(X, lengths, mask, static), self._trainable.program, self._values
        point = np.float32(0.5 if level is None else level)
        points = _in_chunks(lambda part: _points(program, level is None, part, values, point), outputs)
        return points.astype(np.float64) + self.target_.loc

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
        """Return the mean log score, the mean of log f(y) in nats; larger is better. See `log_score`."""
        scores = self.log_score(X, y, lengths=lengths, mask=mask, static=static)
        weight = relative_weights(read_weights(sample_weight, len(scores))).astype(np.float64)
        return float(np.average(scores[weight > 0], weights=weight[weight > 0]))

    def log_score(
        self, X: Any, y: Any, *, lengths: Any = None, mask: Any = None, static: Any = None
    ) -> Float[np.ndarray, " rows"]:
        """Return the log-density of each outcome, or its log-probability for integers and atoms, [N] in nats."""
        outputs = self._outputs(X, lengths, mask, static)
        outcome = read_outcomes(y, len(outputs))
        centered = (outcome - self.target_.loc).astype(np.float32)
        return _in_chunks(
            lambda part, y: _log_probs(self._trainable.program, part, y, self._values), outputs, centered
        ).astype(np.float64)

    def save(self, path: str | Path) -> None:
        """Write the fitted estimator to a folder, for `sbp_jax.load`; an estimator saved there before is replaced.

        The format is that of checkpoints: arrays and a JSON record with digests, without code. See
        `sbp_jax.estimator.saving`.
        """
        from sbp_jax.estimator.saving import save  # which reads both estimators, and so imports this module

        self._check_fitted()
        self._check_unchanged()
        save(self, Path(path))

    @property
    def _values(self) -> Values:
        return Values.of(self.target_)

    def _outputs(self, X: Any, lengths: Any, mask: Any, static: Any) -> np.ndarray:
        self._check_fitted()
        inputs = Tables.read(X, lengths, mask, static).inputs(
            self.features_, self.sequence_features_, type(self).__name__
        )
        ensemble = int(self._fitted_with["ensemble"])
        return mean_outputs(self._trainable, self.params_, self._constants, inputs, self._values, ensemble)

    def _describe(self, features: Features | None, sequences: Features | None) -> None:
        """Set the attributes that describe the columns, as scikit-learn expects them."""
        self.features_, self.sequence_features_ = features, sequences
        own: Any = sequences if sequences is not None else features
        self.n_features_in_ = len(own.columns)
        if hasattr(self, "feature_names_in_"):
            del self.feature_names_in_
        if own.names is not None:
            self.feature_names_in_ = np.array(own.names, object)

    def _target(self, outcome: np.ndarray, exact: np.ndarray) -> Target:
        def numbers(values: Any) -> Any:
            return values if isinstance(values, str) else np.asarray(values, np.float64)

        arguments: dict[str, Any] = {
            "bins": int(self.bins) if is_integer(self.bins) else numbers(self.bins),
            "tail_mass": (float(self.tail_mass[0]), float(self.tail_mass[1])),
            "bounds": self.bounds,
            "integer": self.integer if isinstance(self.integer, str) else bool(self.integer),
            "atoms": numbers(self.atoms),
        }
        if not isinstance(self.bounds, str):
            arguments["bounds"] = tuple(None if bound is None else float(bound) for bound in self.bounds)
        if self.head == "binned":
            arguments["tail_mass"] = (0.0, 0.0)
        if self.head not in BINNED:
            if arguments["bounds"] not in ("auto", (None, None)):
                raise InputError(f"bounds: expected 'auto' or (None, None) for a head without bins, got {self.bounds}")
            arguments["bounds"] = (None, None)
        return make_target(outcome, exact, **arguments)

    def _program(self, target: Target, censored: bool) -> Program:
        builder = make_builder(self.head, target, self.parameterization, self.shape_bounds)
        return Program(builder, len(target.atoms), bool(target.step), censored)

    def _continued(self, first: Any) -> Any:
        """The parameters of the previous fit; InputError unless they have the structure and the meaning of `first`."""
        shapes = [{name: np.shape(leaf) for name, leaf in named(tree).items()} for tree in (first, self.params_)]
        if shapes[0] != shapes[1] or self._changed():
            raise InputError("warm_start: expected the network and the ensemble of the previous fit, but they changed")
        return self.params_

    def _network_config(self) -> NetworkConfig:
        return NetworkConfig(
            encoder="flat",
            channels=int(self.channels),
            layers=int(self.layers),
            kernel_size=int(self.kernel_size),
            hidden=tuple(int(width) for width in self.hidden),
            dropout=float(self.dropout),
        )

    def _members(self, count: int) -> int:
        """Number of networks in total for `count` rows."""
        networks = next(each for rows, each in _NETWORKS if count <= rows) if self.networks == "auto" else self.networks
        return int(self.ensemble) * int(networks)

    def _split(
        self, group: np.ndarray, members: int, random: np.random.Generator
    ) -> tuple[list[np.ndarray], list[np.ndarray] | None]:
        """Training and validation rows of each member; the members' validation rows overlap as little as possible."""
        count = len(group)
        held_out = min(round(self.validation_fraction * count), count - _MIN_ROWS)
        if held_out < MIN_VALIDATION:
            return [np.arange(count)] * members, None
        group = np.unique(group, return_inverse=True)[1]  # without groups of weight 0
        number = random.permutation(group.max() + 1)[group]
        sizes = np.bincount(number)
        if len(sizes) < 2:
            raise InputError("groups: expected at least two groups, one of them for validation, got one")
        small = np.flatnonzero(sizes <= held_out)
        small = small if len(small) else np.array([np.argmin(sizes)])
        ends = np.cumsum(sizes[small])
        training, validation = [], []
        for i in range(members):
            cycle = np.roll(small, -np.searchsorted(ends, (i * held_out) % ends[-1], side="right"))
            held = np.zeros(len(sizes), bool)
            held[cycle[: max(1, np.searchsorted(np.cumsum(sizes[cycle]), held_out, side="right"))]] = True
            validation.append(np.flatnonzero(held[number]))
            training.append(np.flatnonzero(~held[number]))
        if min(map(len, validation)) < MIN_VALIDATION:  # of groups, the only one that is small enough
            return [np.arange(count)] * members, None
        return training, validation

    def _settings(self, count: int, members: int, validated: bool, seed: int) -> Settings:
        batch = int(np.clip(1 << (count // 20).bit_length(), 32, 512)) if self.batch_size == "auto" else self.batch_size
        batch = min(int(batch), count)
        per_epoch = count / batch
        steps = _SHORT if not validated else int(np.clip(60 * per_epoch, 2000, 8000))
        steps = steps if self.max_epochs == "auto" else max(1, round(self.max_epochs * per_epoch))
        per_round = STEPS_PER_CALL * max(1, round(steps / 100 / STEPS_PER_CALL))
        return Settings(
            members=members,
            batch_size=batch,
            steps=steps,
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
        tags.regressor_tags.poor_score = True  # `score` is no R^2
        tags.non_deterministic = self.random_state is None
        return tags


def _marginal(program: Program, target: Target, y: np.ndarray, values: Values) -> np.ndarray:
    """Raw outputs of the marginal distribution."""
    rest = y[~np.isin(y, target.atoms)]
    raw = program.builder.init_from_data(target.standardized(rest), values)
    if target.atoms:
        shares = np.array([1 - sum(target.shares), *target.shares])
        raw = np.concatenate([np.log(shares), raw])
    return raw


def _joined(earlier: list[Any], later: list[Any]) -> list[Any]:
    """The history of a fit that continued another one."""
    if not earlier:
        return later
    last = earlier[-1]
    moved = {"round": last["round"], "step": last["step"]}
    return [*earlier, *({**row, **{name: row[name] + moved[name] for name in moved}} for row in later)]


@compiled_before()
def _in_chunks(function: Any, *arrays: np.ndarray) -> np.ndarray:
    """A function of batches, called on equal chunks, the last one padded with its first row."""
    count = len(arrays[0])
    size = min(_CHUNK, max(256, 1 << max(count - 1, 0).bit_length()))
    parts = []
    for first in range(0, count, size):
        rows = min(size, count - first)
        padded = (
            np.pad(a[first : first + rows], ((0, size - rows), *((0, 0),) * (a.ndim - 1)), "edge") for a in arrays
        )
        parts.append(np.asarray(function(*padded))[:rows])
    return np.concatenate(parts)


def _shaped(outputs: Any) -> tuple[Any, bool]:
    return (outputs, True) if outputs.shape[1] > 1 else (outputs[:, 0], False)


@jax.jit(static_argnums=(0, 1))
def _points(program: Program, mean: bool, outputs: jax.Array, values: Values, level: jax.Array) -> jax.Array:
    outputs, members = _shaped(outputs)
    dist = program.distribution(outputs, values, members)
    return dist.mean() if mean else dist.icdf(level)


@jax.jit(static_argnums=0)
def _log_probs(program: Program, outputs: jax.Array, y: jax.Array, values: Values) -> jax.Array:
    outputs, members = _shaped(outputs)
    return program.distribution(outputs, values, members).log_prob(y)
