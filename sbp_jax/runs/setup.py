"""Set up training: the part of the plays that the network sees, and the network at the marginal distribution."""

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache

import jax.numpy as jnp
import numpy as np
from flax import nnx

from sbp_jax.config import Config, DataConfig
from sbp_jax.data.batches.arrays import Arrays
from sbp_jax.data.batches.epochs import Epochs, Mirror
from sbp_jax.data.batches.symmetry import mirror_of_slots
from sbp_jax.data.plays import PLAYERS, Sequences, Split, static_names
from sbp_jax.data.series.windows import WINDOW_STATIC
from sbp_jax.distributions import Affine, objective
from sbp_jax.distributions.heads import Head
from sbp_jax.errors import InputError
from sbp_jax.models import Network, receptive_field
from sbp_jax.runs.datasets import Dataset
from sbp_jax.runs.sources import Source, buckets_of, no_training_plays, open_source
from sbp_jax.training import Checkpoints, DeviceIndexPlan, Marginal, Resident, fit_marginal, to_device
from sbp_jax.training.build import (
    constants,
    make_head,
    make_loss,
    make_network,
    make_validation_loss,
    set_statistics,
)
from sbp_jax.training.check import (
    check_features,
    check_finite,
    check_outcomes,
    check_precision,
    distinguishes_integers,
    with_known_objective,
)
from sbp_jax.training.marginal import distinct, losses_of, marginal_distribution
from sbp_jax.training.outcome import Outcome
from sbp_jax.training.step import Loss


@dataclass(frozen=True)
class Setup:
    """The part of a training run's plays that the network sees, and how the plays are batched.

    Attributes:
        source: source of the batches.
        plays: plays for training.
        validation: plays for early stopping; may be empty.
        outcome: the outcome to predict.
        batch_size: plays per step.
        buckets: numbers of frames that batches are padded to.
        mirrored: whether a random half of the training plays is reflected, drawn again in every epoch.
    """

    source: Source
    plays: Split
    validation: Split
    outcome: Outcome
    batch_size: int
    buckets: tuple[int, ...]
    mirrored: bool

    @property
    def mirror(self) -> Mirror | None:
        """Reflection of the plays on a device; None if no play is reflected."""
        return self.source.mirror if self.mirrored else None

    @property
    def _longest(self) -> tuple[int, ...]:
        """The single length that validation batches are padded to."""
        return (max(*self.buckets, int(self.validation.lengths.max())),)

    @property
    def signs(self) -> np.ndarray | None:
        """Factor of each feature of a reflected player; None if no play is reflected."""
        return mirror_of_slots(np.zeros((0, PLAYERS), bool), self.plays.features).signs if self.mirrored else None

    def settled(self, config: Config) -> Config:
        """Return the configuration with the objective "auto" replaced by the one for these plays."""
        return with_known_objective(config, self.outcome, _nonempty(self.plays, self.validation))

    def batches(self, seed: int) -> Epochs:
        """Return the training batches, made on the host, without reflection."""
        return self.source.batches("train", self.buckets, batch_size=self.batch_size, seed=seed)

    def validation_batches(self) -> Epochs:
        """Return the validation batches, made on the host, in the same order in every epoch."""
        return self.source.batches("validation", self._longest, batch_size=self.batch_size, shuffle=False)

    def validation_arrays(self) -> Arrays | None:
        """Return the validation plays padded for a device; None if the source has no arrays."""
        return self.source.arrays("validation", self._longest)

    def held_out(self, padded: Arrays) -> tuple[Resident, dict[str, np.ndarray]]:
        """Return the padded validation plays on the device, and an index plan that contains each play once."""
        return to_device(padded), DeviceIndexPlan(padded, self.batch_size, shuffle=False).epoch(0)

    def identify(self, positions: np.ndarray) -> list[str]:
        """Return the names of training plays, "game_id/play_id"."""
        return [f"{self.plays.game_id[i]}/{self.plays.play_id[i]}" for i in positions]


def set_up(config: Config, dataset: Dataset, in_memory: str = "", progress: bool = False) -> Setup:
    """Open and check the plays that a configuration trains on.

    Args:
        config: the configuration.
        dataset: its plays.
        in_memory, progress: see `open_source`.

    Returns:
        The plays and how they are batched.

    Raises:
        InputError: there are no training plays, their extras are not those of the configuration, a value is not finite,
            or the outcomes do not meet the requirements of the objective (see `check_outcomes`); see also
            `open_source`.
    """
    of_plays = isinstance(config.data, DataConfig)
    names = static_names(config.data.situation) if isinstance(config.data, DataConfig) else WINDOW_STATIC
    # the distribution at the last frame depends on the receptive field only
    network, settings = config.network, config.training
    reach = 1 if network.encoder == "none" else receptive_field(network.layers, network.kernel_size)
    last = {"train": None if settings.per_frame else reach, "validation": reach}
    source = open_source(config, dataset, last, in_memory, progress)
    plays, validation = source.splits["train"], source.splits["validation"]
    if not len(plays):
        raise InputError(no_training_plays(dataset))
    splits = _nonempty(plays, validation)
    outcome = Outcome.of(config.data, all(distinguishes_integers(split) for split in splits))
    config = with_known_objective(config, outcome, splits)
    check_precision(outcome, splits)
    for split in splits:
        check_features(config, split)
        check_finite(split, names)
        check_outcomes(config, outcome, split)
    return Setup(
        source=source,
        plays=plays,
        validation=validation,
        outcome=outcome,
        batch_size=min(settings.batch_size, -(-len(plays) // 16)),
        buckets=buckets_of(settings, plays.lengths),
        mirrored=settings.mirror and of_plays,
    )


def _nonempty(*splits: Split) -> list[Split]:
    return [split for split in splits if len(split)]


def network_of(config: Config, plays: Sequences | Split) -> Network:
    """Return the network of a configuration, with statistics and marginal distribution computed from the plays."""
    head = make_head(config.head)
    network = make_network(config, head, plays.static.shape[1])
    if plays.unit is None:
        marginal = _fitted(head, make_loss(config), _Values(plays.outcome), _Values(known_censored(config, plays)))
    else:  # in units of each row's own location and scale, where outcomes are not on a lattice
        scaled = (plays.outcome - plays.info["location"]) / plays.info["scale"]
        marginal = _fitted(head, objective("exact"), _Values(scaled), _Values(None))
    set_statistics(network, plays, marginal)
    return network


def restored_network(config: Config, plays: Sequences | Split, checkpoints: Checkpoints) -> Network:
    """Return the network of a configuration, with statistics and marginal distribution from its checkpoints.

    They are not computed again, because another machine or compiler would give slightly different values.
    """
    network = make_network(config, make_head(config.head), plays.static.shape[1])
    nnx.update(network, checkpoints.load({"constants": constants(network)}).trees["constants"])
    return network


@dataclass(frozen=True, eq=False)
class _Values:
    """An array, or None, compared and hashed by its values."""

    array: np.ndarray | None

    @cached_property
    def content(self) -> bytes | None:
        return None if self.array is None else self.array.tobytes()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Values) and self.content == other.content

    def __hash__(self) -> int:
        return hash(self.content)


@lru_cache(maxsize=16)
def _fitted(head: Head, loss: Loss, outcomes: _Values, censored: _Values) -> np.ndarray:
    """Result of `fit_marginal`, cached for the members of a sweep with the same start."""
    assert outcomes.array is not None
    return fit_marginal(head, outcomes.array, loss, censored.array)


def known_censored(config: Config, plays: Sequences | Split) -> np.ndarray | None:
    """Return the mask of censored outcomes, the touchdowns, if the objective is "censored"; else None."""
    return plays.censored if config.training.objective == "censored" else None


def marginal_of(config: Config, setup: Setup, network: Network) -> Marginal:
    """Return the mean losses of the marginal distribution that a configuration's network starts from."""
    pairs = (
        (make_loss(config), setup.plays),
        (make_validation_loss(config.training, setup.outcome.integer), setup.validation),
    )
    return Marginal(*(marginal_loss(network, loss, plays, known_censored(config, plays)) for loss, plays in pairs))


def marginal_loss(network: Network, loss: Loss, plays: Sequences | Split, censored: np.ndarray | None = None) -> float:
    """Return the mean loss of outcomes under the marginal distribution that a network starts from, NaN without any."""
    if not len(plays):
        return math.nan
    if plays.unit is None:
        values, flags, counts = distinct(plays.outcome, censored)
        return float(np.average(losses_of(marginal_distribution(network, 1), values, flags, loss), weights=counts))
    marginal = Affine(marginal_distribution(network, len(plays)), *plays.unit.T)
    losses = loss(marginal, jnp.asarray(plays.centered), jnp.zeros(len(plays), bool))
    return float(np.mean(np.asarray(losses)))
