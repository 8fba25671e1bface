"""Restore a run, complete or in progress, from disk for analysis: `sbp.load_run(path)`."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import jax
import numpy as np
import polars as pl
from flax import nnx

from sbp_jax.config import Config, DataConfig, SeriesConfig, extensions_of
from sbp_jax.data.batches.batching import Batches
from sbp_jax.data.facts import facts_of
from sbp_jax.data.plays import Sequences
from sbp_jax.data.prepared.dataset import describe, load, load_fold
from sbp_jax.data.series.windows import read_windows
from sbp_jax.distributions.base import Distribution
from sbp_jax.distributions.shifted import centered
from sbp_jax.errors import InputError
from sbp_jax.models.network import Network
from sbp_jax.runs.config_file import CONFIG, metrics_of, read_saved
from sbp_jax.scoring import normal_score
from sbp_jax.training import Checkpoints, Predictor
from sbp_jax.training.build import constants, make_head, shapes_of
from sbp_jax.training.check import check_features, check_size
from sbp_jax.training.marginal import marginal_distribution
from sbp_jax.training.outcome import Outcome, in_own_units
from sbp_jax.training.step import arrays

_BATCH_SIZE = 256


@dataclass(frozen=True)
class Run:
    """A trained network with its configuration and data.

    Attributes:
        path: the run's folder.
        config: the run's configuration.
        dataset: folder of the prepared plays that the run was trained on.
        model: network with the parameters of the best epoch.
        fingerprint: fingerprint of the data set when the run was trained.
        step: step of the restored checkpoint.
        metrics: one row per epoch up to that checkpoint: `epoch`, `step`, `training_loss` and `validation_loss` (nats
            per play), `gradient_norm`, `seconds`, `plays_per_s`.
        integer: whether the outcomes are integers, as yards are.
        starts: calls that trained the run; see `sbp_jax.runs.config_file.Saved`.
    """

    path: Path
    config: Config
    dataset: Path
    fingerprint: str
    model: Network
    step: int
    metrics: pl.DataFrame
    integer: bool = True
    starts: tuple[Mapping[str, Any], ...] = ()

    @property
    def outcome(self) -> Outcome:
        """The outcome that the run predicts."""
        return Outcome.of(self.config.data, self.integer)

    def predict(self, plays: Sequences) -> Distribution:
        """Predict the distribution of each play's observed outcome, batch shape [N].

        For integer outcomes it is `Quantized`: `log_prob` is the log-probability of an integer. For gains in yards it
        is `Censored` at each play's goal line, where the atom is the probability of a touchdown. For windows of time
        series it is in the unit of the series. `predict_latent` gives the distribution before rounding and bounds.

        For windows whose outcomes float32 would round by more than 1e-4 of their scale, or integers of at least
        8,388,608, it is `Shifted`: the windows given decide, so another part of the same series may get a distribution
        without a shift. Outside of `jit`, every method takes and returns the same quantities for both; locations, such
        as quantiles, are float64 for `Shifted`.
        Inside of `jit`, and in a `Mixture`, use the distribution and the outcomes that
        `sbp_jax.distributions.shifted.centered` returns for either.

        Raises:
            InputError: see `raw_outputs`.
        """
        return self.outcome.distribution(self.model.head(self.raw_outputs(plays)), plays)

    def predict_latent(self, plays: Sequences) -> Any:
        """Predict the distribution of each play's outcome before rounding and bounds, batch shape [N].

        This is the distribution of the run's head, with its thresholds and tails.

        Raises:
            InputError: see `raw_outputs`.
        """
        return in_own_units(self.model.head(self.raw_outputs(plays)), plays)

    def marginal(self, plays: Sequences) -> Distribution:
        """Return the marginal distribution of each play's outcome, the network's initial prediction, batch shape [N].

        It is fitted to the training outcomes alone, without features, and is rounded and bounded as in `predict`.
        """
        return self.outcome.distribution(marginal_distribution(self.model, len(plays)), plays)

    def raw_outputs(self, plays: Sequences) -> jax.Array:
        """Return the network's raw outputs for each play, the input of its head, [N, num_outputs].

        Raises:
            InputError: the plays' features, extras or static features are not those that the network was trained on.
        """
        self._check(plays)
        settings, last = self.config.training, self.model.receptive_field
        return self._predictor(self._predictor.params, plays, _BATCH_SIZE, settings.buckets, last)

    def unfold(self, plays: Sequences) -> Distribution:
        """Predict the distribution of each play's outcome at every frame, from the frames so far, batch shape [N, T].

        T is the number of frames of the longest play; values past the end of a play are meaningless. The distributions
        are calibrated at the last frame, or at all frames if the run was trained with `training.per_frame`.

        Raises:
            InputError: see `raw_outputs`.
        """
        latent = self.model.head(jax.numpy.asarray(self.raw_outputs_by_frame(plays)))
        return self.outcome.distribution(latent, plays)

    def raw_outputs_by_frame(self, plays: Sequences) -> np.ndarray:
        """Return the network's raw outputs at every frame, [N, T, num_outputs]; see `unfold`.

        Raises:
            InputError: see `raw_outputs`.
        """
        self._check(plays)
        longest = int(plays.lengths.max(initial=1))
        batches = Batches(plays, min(len(plays), _BATCH_SIZE), (longest,), shuffle=False)
        raw = np.zeros((len(plays), longest, self._predictor.num_outputs), np.float32)
        for batch in batches:
            raw[batch.index[batch.valid]] = np.asarray(self._predictor.every_frame(arrays(batch)))[batch.valid]
        return raw

    def _check(self, plays: Sequences) -> None:
        """Check that plays have the features that the network was trained on; InputError otherwise."""
        check_features(self.config, plays)
        expected = self.model.static_scale.mean[...].shape[0]
        if plays.static.shape[1] != expected:
            raise InputError(f"plays: expected {expected} static features, got {plays.static.shape[1]}")

    @cached_property
    def _predictor(self) -> Predictor:
        return Predictor(self.model)

    def score(self, plays: Sequences) -> pl.DataFrame:
        """Return one row per play: ids, passer, outcome, predictive median, mid-PIT, normal score, chance of success.

        The other columns are facts of the play from `sbp_jax.data.facts.facts_of`, such as team, season, down and time
        to throw, for splits and groups.

        Raises:
            InputError: see `raw_outputs`; or the run was trained on integers and some outcomes are not.
        """
        situation = self.config.data.situation if isinstance(self.config.data, DataConfig) else ()
        return self.residuals(plays).drop("residual", "log_prob").hstack(facts_of(plays, situation))

    def residuals(self, plays: Sequences) -> pl.DataFrame:
        """Return the columns of `score` without the facts, plus `residual` and `log_prob`.

        All refer to the distribution from `predict`. `residual` is the outcome minus its median. `pit` is the mid-PIT,
        the mean of `pit_low` = P(Y < y) and `pit_high` = P(Y <= y), which are equal without an atom; it is not random.
        `log_prob` is log P(Y = y) in nats at an atom, and the log-density elsewhere. `score` is the normal score
        Phi^-1(pit). `success_chance` is P(Y > 0): for yards, the probability of a gain; for expected points, that of
        added points.

        Raises:
            InputError: see `score`.
        """
        if self.integer and not plays.is_integer:
            raise InputError("plays: the run was trained on integers, and some of these outcomes are not")
        bounded = self.outcome.bounded(plays)
        dist, y, shift = centered(self.predict(plays), bounded)
        zero = np.broadcast_to(np.asarray(-shift, y.dtype), y.shape)
        median, low, high, score, success, log_prob = map(np.asarray, _scored(dist, y, zero))
        return pl.DataFrame(
            {
                "game_id": plays.game_id,
                "play_id": plays.play_id,
                "passer_id": plays.passer_id,
                "passer": plays.passer.astype(str),
                "outcome": plays.outcome,
                "median": shift + median if np.any(shift) else median,
                "pit": (low + high) / 2,
                "pit_low": low,
                "pit_high": high,
                "score": score,
                "success_chance": success,
                "residual": y - median,
                "log_prob": log_prob,
            }
        )

    def plays(self, split: str = "test", dataset: str | Path | None = None) -> Sequences:
        """Return the plays of a split of the data set that the run was trained on.

        Windows of time series are read again from the files in their folder. Frames that do not fit into memory
        (`sbp_jax.data.memory.fits`) are mapped from a temporary file.

        Args:
            split: "train", "validation" or "test".
            dataset: folder of the data set if it is no longer at `self.dataset`.

        Raises:
            InputError: there is no such split or data set, or its plays are not those that the run was trained on.
        """
        folder = self.dataset if dataset is None else Path(dataset)
        if not folder.is_dir():
            raise InputError(
                f"{folder}: the plays that {self.path} was trained on are not there; if they have moved, call "
                f"plays({split!r}, dataset=FOLDER)"
            )
        if isinstance(self.config.data, SeriesConfig):
            windows = read_windows(self.config.data, folder)
            fingerprint, plays = windows.fingerprint, windows.split
        else:
            fold = self.config.data.cross
            fingerprint = describe(folder).fingerprint
            plays = partial(load, folder) if fold is None else partial(load_fold, folder, fold)
        if fingerprint != self.fingerprint:
            raise InputError(f"{folder}: its plays are not those that {self.path} was trained on; train it again")
        return plays(split)

    @property
    def steps(self) -> list[int]:
        """Steps of the current checkpoints, for `load_run(path, step)`."""
        return Checkpoints(self.path / "checkpoints", read_only=True).steps


@jax.jit
def _scored(dist: Distribution, y: jax.Array, zero: jax.Array) -> tuple[jax.Array, ...]:
    """Median, both ends of the PIT, normal score, P(Y > zero) and log P(Y = y), as one program."""
    success = dist.survival_function(zero)
    return dist.median(), *dist.pit_bounds(y), normal_score(dist, y), success, dist.log_prob(y)


def load_run(path: str | Path, step: int | None = None, trust: bool = False) -> Run:
    """Restore a run, complete or in progress, from its folder, on this machine's first device.

    The folder may be untrusted: without `trust`, nothing that it names is imported or executed, and its arrays take no
    more memory than their files take on disk.

    Args:
        path: folder with config.json and checkpoints/; the data set is not needed.
        step: step of the checkpoint; by default the newest undamaged one (skipped ones are logged).
        trust: import the user code, a head, encoder or objective, that the configuration names as
            `package.module:Name`.

    Returns:
        The run with the parameters of its best epoch.

    Raises:
        InputError: the folder is not a run, it has no checkpoint, the requested checkpoint is damaged or all are, or
            the configuration does not fit the arrays; see also `sbp_jax.runs.config_file.read_saved`.
    """
    path = Path(path)
    saved = read_saved(path)
    config = saved.config
    for field, name in () if trust else extensions_of(config).items():
        raise InputError(
            f"{path / CONFIG}: {field}: {name} is user code; --trust, or load_run(..., trust=True), imports it"
        )
    checkpoints = Checkpoints(path / "checkpoints", read_only=True)
    if checkpoints.latest is None:
        raise InputError(f"{path}: the run has no checkpoint yet")
    try:
        check_size(config, saved.num_static)
    except InputError as error:
        raise InputError(f"{path / CONFIG}: {error}") from error
    # shapes first, so that a configuration that does not fit the arrays on disk allocates nothing
    model = shapes_of(config, make_head(config.head), saved.num_static)
    like = {"best": nnx.state(model, nnx.Param), "constants": constants(model)}
    checkpoint = checkpoints.load(like, step)
    for tree in checkpoint.trees.values():
        nnx.update(model, tree)
    try:
        metrics = metrics_of(checkpoint.record["history"], saved.starts, saved.training_plays)
    except (KeyError, TypeError, ValueError, OverflowError, pl.exceptions.PolarsError) as error:
        raise InputError(f"{path}: expected the history of a training run in checkpoint {checkpoint.step}") from error
    return Run(
        path=path,
        config=config,
        dataset=saved.dataset,
        fingerprint=saved.fingerprint,
        model=model,
        step=checkpoint.step,
        metrics=metrics,
        integer=saved.integer,
        starts=saved.starts,
    )
