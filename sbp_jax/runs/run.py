"""A finished or running training on disk, restored for analysis: `sbp.load_run(path)`."""

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
from sbp_jax.data.plays import Plays
from sbp_jax.data.prepared.dataset import describe, load, load_fold
from sbp_jax.data.series.windows import read_windows
from sbp_jax.errors import InputError
from sbp_jax.models.network import Network
from sbp_jax.runs.config_file import CONFIG, metrics_of, read_saved
from sbp_jax.scoring import normal_score, pit_bounds
from sbp_jax.training import Checkpoints, Predictor
from sbp_jax.training.build import constants, goal_line, in_own_units, make_head, make_judge, outcome_of, shapes_of
from sbp_jax.training.check import check_features, check_size
from sbp_jax.training.step import arrays

_BATCH_SIZE = 256


@dataclass(frozen=True)
class Run:
    """A trained network with what it was trained on.

    Attributes:
        path: the run's folder.
        config: its configuration.
        dataset: folder of the prepared plays that it was trained on.
        model: the network with the parameters of its best epoch.
        fingerprint: of that data set when the run was trained.
        step: step of the checkpoint it came from.
        metrics: one row an epoch up to that checkpoint: `epoch`, `step`, `training_loss` and `validation_loss` (nats a
            play), `gradient_norm`, `seconds`, `plays_per_s`.
        whole: the outcomes are whole numbers, as yards are, and are judged so; else as they are.
        starts: the calls that trained it, as `sbp_jax.runs.config_file.Saved` says.
    """

    path: Path
    config: Config
    dataset: Path
    fingerprint: str
    model: Network
    step: int
    metrics: pl.DataFrame
    whole: bool = True
    starts: tuple[Mapping[str, Any], ...] = ()

    def predict(self, plays: Plays) -> Any:
        """Predictive distribution of each play's yards, batch shape [N]; InputError as in `raw_outputs`.

        Of a window of a time series it is that of its outcome, in the series' unit.
        """
        return in_own_units(self.model.head(self.raw_outputs(plays)), plays)

    def raw_outputs(self, plays: Plays) -> jax.Array:
        """What the network hands to its head for each play, [N, num_outputs].

        Raises:
            InputError: the plays' features, extras or static features are not those that the network was trained on.
        """
        check_features(self.config, plays)
        expected = self.model.static_scale.mean[...].shape[0]
        if plays.static.shape[1] != expected:
            raise InputError(f"plays: expected {expected} static features, got {plays.static.shape[1]}")
        settings, last = self.config.training, self.model.receptive_field
        return self._predictor(self._predictor.params, plays, _BATCH_SIZE, settings.buckets, last)

    def unfold(self, plays: Plays) -> Any:
        """Predictive distribution of each play's yards at every frame, from the frames so far, batch shape [N, T].

        T is the longest play's number of frames; what stands beyond a play's own end means nothing. Calibrated at the
        last frame, and at all of them where the run was trained with `training.per_frame`.

        Raises:
            InputError: as in `raw_outputs`.
        """
        check_features(self.config, plays)
        longest = int(plays.lengths.max(initial=1))
        batches = Batches(plays, min(len(plays), _BATCH_SIZE), (longest,), shuffle=False)
        raw = np.zeros((len(plays), longest, self._predictor.num_outputs), np.float32)
        for batch in batches:
            raw[batch.index[batch.valid]] = np.asarray(self._predictor.every_frame(arrays(batch)))[batch.valid]
        return self.model.head(jax.numpy.asarray(raw))

    @cached_property
    def _predictor(self) -> Predictor:
        return Predictor(self.model)

    def score(self, plays: Plays) -> pl.DataFrame:
        """One row a play: ids, passer, yards, predictive median, (mid-)PIT, normal score, and chance of success.

        Then what is known of the play beside its frames, as `sbp_jax.data.facts.facts_of` has it: team, season, down,
        time to throw and the like, for splits and groups.

        Raises:
            InputError: as in `raw_outputs`; outcomes that are not whole numbers where those trained on were.
        """
        situation = self.config.data.situation if isinstance(self.config.data, DataConfig) else ()
        return self.residuals(plays).drop("residual", "log_prob").hstack(facts_of(plays, situation))

    def residuals(self, plays: Plays) -> pl.DataFrame:
        """The columns of `score` but for the facts, and `residual`, yards less their predictive median, and `log_prob`.

        `success_chance` is P(Y > 0): of yards a gain, of expected points a play that adds some.

        Of whole numbers `pit` is the mid-PIT, P(Y < y) + P(Y = y) / 2, in the middle of `pit_low` = P(Y < y) and
        `pit_high` = P(Y <= y), nothing is drawn at random, and `log_prob` is
        log P(Y = y) in nats; of others they are F(y) and the log density. Where the goal line stops gains, as `limit`
        has it, what the law has beyond it counts as a touchdown. `score` is the normal score Phi^-1 of the former.

        Raises:
            InputError: as in `score`.
        """
        if self.whole and not plays.is_whole:
            raise InputError("plays: the run was trained on whole numbers, and some of these outcomes are none")
        width = 1.0 if self.whole else 0.0
        distribution, limit = self.predict(plays), self.limit(plays)
        yards = jax.numpy.asarray(plays.yards)
        cut = jax.numpy.asarray(plays.yards >= limit)
        log_prob = -make_judge(self.config.training, self.whole)(distribution, yards, cut)
        median = np.minimum(np.asarray(distribution.median()), limit)
        low, high = pit_bounds(distribution, yards, width, cut)
        success = distribution.survival_function(jax.numpy.full_like(yards, width / 2))
        return pl.DataFrame(
            {
                "game_id": plays.game_id,
                "play_id": plays.play_id,
                "passer_id": plays.passer_id,
                "passer": plays.passer.astype(str),
                "yards": plays.yards,
                "median": median,
                "pit": np.asarray((low + high) / 2),
                "pit_low": np.asarray(low),
                "pit_high": np.asarray(high),
                "score": np.asarray(normal_score(distribution, yards, width, cut)),
                "success_chance": np.asarray(success),
                "residual": plays.yards - median,
                "log_prob": np.asarray(log_prob),
            }
        )

    def limit(self, plays: Plays) -> np.ndarray:
        """Yards at which the goal line stops a gain, float32 [N]; inf where it is not told.

        inf for all plays unless the run was trained by the objective "censored": the law of `predict` is then one of
        gains that nothing stops, and what it has beyond the line is the probability of a touchdown.

        Raises:
            InputError: the run needs the plays' `yards_to_goal`, and they do not have that column.
        """
        if self.config.training.objective != "censored":
            return np.full(len(plays), np.inf, np.float32)
        return goal_line(outcome_of(self.config.data), plays)

    def plays(self, split: str = "test", dataset: str | Path | None = None) -> Plays:
        """The plays of a split ("train", "validation" or "test") of the data set that the run was trained on.

        Windows of time series are read again from their files, in the folder that all of them are in. Frames that do
        not fit into memory (`sbp_jax.data.memory.fits`) are in a temporary file, mapped into it.

        Args:
            split: which.
            dataset: folder of the data set where it is no longer at `self.dataset`.

        Raises:
            InputError: no such split, no data set there, or one with other plays than those trained on.
        """
        folder = self.dataset if dataset is None else Path(dataset)
        if not folder.is_dir():
            raise InputError(
                f"{folder}: the plays that {self.path} was trained on are not there; where they have moved, say "
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
            raise InputError(f"{folder}: holds other plays than those that {self.path} was trained on; train it again")
        return plays(split)

    @property
    def steps(self) -> list[int]:
        """Steps of the checkpoints that there are now, for `load_run(path, step)`."""
        return Checkpoints(self.path / "checkpoints", read_only=True).steps


def load_run(path: str | Path, step: int | None = None, trust: bool = False) -> Run:
    """Restore a run from its folder, in progress or done, on this machine's first device whatever it was trained on.

    Args:
        path: folder with config.json and checkpoints/; the data set need not be there.
        step: which checkpoint; by default the newest that is not damaged: what is passed over is logged.
        trust: import what the configuration names as `package.module:Name`, a head, encoder or objective of one's own.

    The folder may be untrusted: without `trust` nothing that it names is imported or run, and no more memory is taken
    than its arrays have bytes on the disk.

    Raises:
        InputError: the folder is no run, has no checkpoint, the one of `step` or every one is damaged, or its
            configuration and arrays do not fit together; as `sbp_jax.runs.config_file.read_saved`.
    """
    path = Path(path)
    saved = read_saved(path)
    config = saved.config
    for field, name in () if trust else extensions_of(config).items():
        raise InputError(
            f"{path / CONFIG}: {field}: {name} is code of your own; --trust, or load_run(..., trust=True), imports it"
        )
    checkpoints = Checkpoints(path / "checkpoints", read_only=True)
    if checkpoints.latest is None:
        raise InputError(f"{path}: the run has no checkpoint yet")
    try:
        check_size(config, saved.num_static)
    except InputError as error:
        raise InputError(f"{path / CONFIG}: {error}") from error
    # Shapes first: a configuration that does not fit the arrays on the disk allocates nothing.
    model = shapes_of(config, make_head(config.head), saved.num_static)
    like = {"best": nnx.state(model, nnx.Param), "constants": constants(model)}
    restored = checkpoints.load(like, step)
    for tree in restored.trees.values():
        nnx.update(model, tree)
    try:
        metrics = metrics_of(restored.record["history"], saved.starts, saved.training_plays)
    except (KeyError, TypeError, ValueError, OverflowError, pl.exceptions.PolarsError) as error:
        raise InputError(f"{path}: expected the history of a training in its checkpoint {restored.step}") from error
    return Run(
        path=path,
        config=config,
        dataset=saved.dataset,
        fingerprint=saved.fingerprint,
        model=model,
        step=restored.step,
        metrics=metrics,
        whole=saved.whole,
        starts=saved.starts,
    )
