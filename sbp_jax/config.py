"""Configuration of a run: plain frozen dataclasses, saved as JSON in the run's folder and read back from it."""

import dataclasses
import types
import typing
from dataclasses import dataclass, field
from typing import Any, Literal

from sbp_jax.data.prepared.splits import Fold, check_shares
from sbp_jax.data.readers.rules import ReaderConfig
from sbp_jax.data.series.config import SeriesConfig
from sbp_jax.errors import InputError, positive, seed, share
from sbp_jax.extensions import check_name, is_extension
from sbp_jax.models.config import NetworkConfig


@dataclass(frozen=True)
class DataConfig(ReaderConfig):
    """Source of the plays and how they are split; `ReaderConfig` has the fields of the reader.

    Attributes:
        source: folders or files of plays; if empty, plays are simulated.
        plays: number of simulated plays.
        seed: seed of the simulation and of the split by game.
        test: share of the games in the test split.
        validation: share of the games in the validation split, which decides early stopping.
        cache: folder for simulated files and prepared data sets.
        test_seasons: seasons whose games form the test split, instead of a share of all games.
        folds: number of cross-fitting folds, in which every game is tested once; 0 for no cross-fitting.
        fold: number of the fold that is the test split.
        fold_by: build folds from games, assigned at random by `seed`, or from seasons.

    Raises:
        InputError: see `ReaderConfig`.
    """

    source: tuple[str, ...] = ()
    plays: int = 8000
    seed: int = 0
    test: float = 0.15
    validation: float = 0.15
    cache: str = "runs/data"
    test_seasons: tuple[int, ...] = ()
    folds: int = 0
    fold: int = 0
    fold_by: Literal["game", "season"] = "game"

    def __post_init__(self) -> None:
        super().__post_init__()
        positive("data.plays", self.plays)
        seed("data.seed", self.seed)
        check_shares(self.test, self.validation)

    @property
    def cross(self) -> Fold | None:
        """Return the test fold if the data are cross-fitted, else None; raise InputError if the fold does not exist."""
        return Fold(self.fold, self.folds, self.fold_by, self.seed, self.validation) if self.folds else None


Kind = Literal[
    "sbp",
    "binned",
    "blended_pareto",
    "blended_pareto_published",
    "hybrid_pareto",
    "two_tailed_hybrid_pareto",
    "student_t",
    "gaussian",
]
Objective = Literal["auto", "exact", "composite", "interval", "censored", "pointwise"]


@dataclass(frozen=True)
class HeadConfig:
    """The head, which maps raw network outputs to the conditional distribution.

    Attributes:
        kind: "sbp" (Spliced Binned-Pareto), "binned" (no tails: the outermost bins extend to the ends of `support`),
            "blended_pareto" (densities blend into the tails between `tail_mass` and four times that mass),
            "blended_pareto_published" (blends cdfs, as published: some parameters do not give a distribution, and
            some training runs diverge), "hybrid_pareto" (a Gaussian with an upper tail), "two_tailed_hybrid_pareto",
            "student_t", "gaussian", or your own class as "package.module:Class", called with this configuration to
            make a `distributions.heads.Head`.
        low: center of the first bin, in the outcome's unit (yards).
        high: center of the last bin.
        bins: number of bins of equal width; 71 bins from -10 to 60 are one yard wide and centered on integers.
        tail_mass: probability below the lower threshold and above the upper one, each from 0 to below 1/2.
        parameterization: map from raw outputs to the generalized Pareto tails, a name in
            `distributions.heads.PARAMETERIZATIONS`.
        shape_bounds: range of the tail shape if the parameterization is bounded. The blended and hybrid kinds, whose
            tails have no `support`, use the part above 0, so that no outcome is impossible.
        support: interval of outcomes that are possible for every shape: no play gains or loses more than the length of
            the field.

    Raises:
        InputError: a field is out of range; the message names it.
    """

    kind: Kind | str = "sbp"
    low: float = -10.0
    high: float = 60.0
    bins: int = 71
    tail_mass: tuple[float, float] = (0.05, 0.05)
    parameterization: Literal[
        "positive", "bounded", "orthogonal", "continuous", "proportional", "exponential", "endpoint"
    ] = "bounded"
    shape_bounds: tuple[float, float] = (-0.5, 0.95)
    support: tuple[float, float] = (-110.0, 110.0)

    def __post_init__(self) -> None:
        check_name("head.kind", self.kind, typing.get_args(Kind))
        if self.bins < 2 or not self.low < self.high:
            raise InputError(f"head: expected at least 2 bins and low < high, got {self.bins}, {self.low}, {self.high}")
        if not all(0 <= mass < 0.5 for mass in self.tail_mass):
            raise InputError(f"head.tail-mass: expected masses from 0 to below 1/2, got {self.tail_mass}")
        if not -1 < self.shape_bounds[0] < self.shape_bounds[1]:
            raise InputError(f"head.shape-bounds: expected increasing bounds above -1, got {self.shape_bounds}")
        if not self.support[0] < self.support[1]:
            raise InputError(f"head.support: expected an interval, got {self.support}")


@dataclass(frozen=True)
class OptimizerConfig:
    """AdamW with warm-up and cosine decay.

    Attributes:
        learning_rate: peak learning rate.
        weight_decay: decay of the kernels; biases do not decay.
        warmup: share of the steps over which the learning rate rises from zero.
        clip: maximum global norm of the gradient.
        average: decay per step of the exponential moving average of the parameters; 0 turns averaging off.
    """

    learning_rate: float = 2e-3
    weight_decay: float = 0.3
    warmup: float = 0.05
    clip: float = 1.0
    average: float = 0.99

    def __post_init__(self) -> None:
        positive("optimizer.learning_rate", self.learning_rate)
        positive("optimizer.clip", self.clip)
        share("optimizer.warmup", self.warmup)
        share("optimizer.average", self.average)
        if self.weight_decay < 0:
            raise InputError(f"optimizer.weight-decay: expected at least 0, got {self.weight_decay}")


@dataclass(frozen=True)
class TrainingConfig:
    """Objective, length and batches of training.

    Attributes:
        objective: loss by name: "exact" (the log-density, averaged over an eighth of a bin where it jumps at a
            threshold), "composite", "interval" (the probability of an integer), "censored" (like "interval", but a
            touchdown means that the gain would have been at least that long), "pointwise" (the unsmoothed log-density,
            whose gradient is wrong where the density jumps), or "auto": "censored" for integer yards with known
            touchdowns, "interval" for other integers, else "exact". Your own function is
            "package.module:function", (distribution, y, censored) -> loss of each outcome; validation then uses
            "interval" for integer outcomes and the log-density for others.
        threshold_gradient: whether gradients flow through the thresholds between bins and tails: "on", "off", or
            "auto", the objective's default: off for "composite", on for the others.
        epochs: maximum number of passes over the training plays.
        patience: epochs without a better validation loss before training stops.
        batch_size: plays per step, at most a sixteenth of the training plays.
        mirror: reflect a random half of the plays across the long axis of the field, a different half every epoch.
        buckets: numbers of frames that batches are padded to; by default the length of the longest play, up to the
            network's receptive field.
        batch_source: where batches come from: "memory" (plays read into memory), "mapped" (padded arrays in files that
            are built once, next to the prepared data set), "stream" (its records, read ahead by Grain, extra `grain`),
            or "auto", the first of these that fits: into a quarter of the available memory, then on the disk. The
            trained parameters and the name of the run's folder do not depend on it: a run may resume with another
            source.
        resident: keep the plays on an accelerator if they take at most half of its free memory, so that an epoch is a
            few compiled scans over them. Without it, and on a CPU, batches are made on the host.
        per_frame: predict the outcome at every frame, as live scoring needs, instead of at the last frame only. A step
            then takes about three times as long.
        frame_half_life_s: with `per_frame`, how many seconds before the release a frame has half the weight of the
            last one; 0 weights all frames of a play equally. Every play has the same total weight.
        seed: seed of the initial weights, the order of the plays and dropout.
        checkpoint_every: steps between checkpoints within an epoch, rounded up to the end of a compiled call of at most
            50 steps; every epoch ends with a checkpoint.

    Raises:
        InputError: a field is out of range; the message names it.
    """

    objective: Objective | str = "auto"
    threshold_gradient: Literal["auto", "on", "off"] = "auto"
    epochs: int = 15
    patience: int = 6
    batch_size: int = 128
    mirror: bool = True
    buckets: tuple[int, ...] = ()
    batch_source: Literal["auto", "memory", "mapped", "stream"] = "auto"
    resident: bool = True
    per_frame: bool = False
    frame_half_life_s: float = 0.0
    seed: int = 0
    checkpoint_every: int = 500

    def __post_init__(self) -> None:
        check_name("training.objective", self.objective, typing.get_args(Objective))
        for name in ("epochs", "batch_size", "patience", "checkpoint_every"):
            positive(f"training.{name}", getattr(self, name))
        seed("training.seed", self.seed)
        if self.frame_half_life_s < 0:
            raise InputError(f"training.frame-half-life-s: expected at least 0 seconds, got {self.frame_half_life_s}")
        if sorted({*self.buckets, 0}) != [0, *self.buckets]:
            raise InputError(f"training.buckets: expected increasing numbers of frames, got {self.buckets}")


def extensions_of(config: "Config") -> dict[str, str]:
    """Return the fields of a configuration that name user code, with those names."""
    fields = {
        "head.kind": config.head.kind,
        "network.encoder": config.network.encoder,
        "training.objective": config.training.objective,
    }
    return {field: name for field, name in fields.items() if is_extension(name)}


@dataclass(frozen=True)
class Config:
    """A run: data (plays or windows of time series), network, head, optimizer and training.

    Raises:
        InputError: a field is out of range or contradicts another one; the message names the field.
    """

    data: DataConfig | SeriesConfig = field(default_factory=DataConfig)
    network: NetworkConfig = field(default_factory=NetworkConfig)
    head: HeadConfig = field(default_factory=HeadConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)

    def __post_init__(self) -> None:
        encoder, training = self.network.encoder, self.training
        if isinstance(self.data, DataConfig):
            if not self.data.tracking and encoder != "none":
                raise InputError(
                    f"network.encoder: {encoder} requires tracking, and data.tracking is False; choose none"
                )
            return
        if encoder == "attention":
            raise InputError("network.encoder: attention requires players, and the data are time series; choose flat")
        if training.per_frame:
            raise InputError("training.per-frame: requires plays, and the data are time series")
        if training.objective == "censored":
            raise InputError("training.objective: censored requires plays; choose composite, exact or interval")


def from_dict(kind: type, values: dict[str, Any], where: str = "config") -> Any:
    """Rebuild a dataclass from its `dataclasses.asdict`, read back from JSON.

    Raises:
        InputError: the dataclass has no such field, or a value has another type or is out of range; the message names
            the field.
    """
    hints = typing.get_type_hints(kind)
    unknown = sorted(set(values) - set(hints))
    if unknown:
        raise InputError(f"{where}: unknown field {unknown[0]!r}; known: {', '.join(hints)}")
    restored = {name: _restore(hints[name], value, f"{where}.{name}") for name, value in values.items()}
    try:
        return kind(**restored)
    except InputError as error:  # its message begins with the section, which `where` ends with
        section, message = where.rpartition(".")[2], str(error)
        own = message.startswith((f"{section}.", f"{section}:"))
        raise InputError(f"{where}{message.removeprefix(section)}" if own else f"{where}: {message}") from error


def _restore(hint: Any, value: Any, where: str) -> Any:
    if dataclasses.is_dataclass(hint) and isinstance(hint, type) and isinstance(value, dict):
        return from_dict(hint, value, where)
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is tuple and isinstance(value, list):
        kinds = [args[0]] * len(value) if args[-1] is Ellipsis else list(args)
        if len(kinds) == len(value):
            return tuple(_restore(k, v, f"{where}[{i}]") for i, (k, v) in enumerate(zip(kinds, value, strict=True)))
    elif origin is Literal and value in args:
        return value
    elif origin in (types.UnionType, typing.Union):
        if value is None and type(None) in args:
            return None
        if isinstance(value, str) and str in args:
            return value
        if isinstance(value, dict):  # choose the dataclass that has these fields
            kinds = [arg for arg in args if dataclasses.is_dataclass(arg) and isinstance(arg, type)]
            fitting = [kind for kind in kinds if set(value) <= {each.name for each in dataclasses.fields(kind)}]
            return from_dict((fitting or kinds)[0], value, where)
    elif hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    elif isinstance(hint, type) and type(value) is hint:
        return value
    raise InputError(f"{where}: expected {getattr(hint, '__name__', hint)}, got {value!r}")
