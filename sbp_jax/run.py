"""A finished or running training on disk, restored for analysis: `sbp.load_run(path)`."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import jax
import numpy as np
import polars as pl
from flax import nnx

from sbp_jax.config import Config, from_dict
from sbp_jax.data.batching import Plays
from sbp_jax.data.dataset import describe, load
from sbp_jax.errors import InputError
from sbp_jax.models.network import Network
from sbp_jax.scoring import mid_pit, normal_score
from sbp_jax.training import Checkpoints, Predictor
from sbp_jax.training.build import check_features, check_size, constants, make_head, shapes_of
from sbp_jax.training.stored import DamagedError, read_json

_BATCH_SIZE = 256
_CONFIG_BYTES = 2**20


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
        history: one row an epoch: losses in nats a play.
        whole: the outcomes are whole numbers, as yards are, and are judged so; else as they are.
    """

    path: Path
    config: Config
    dataset: Path
    fingerprint: str
    model: Network
    step: int
    history: pl.DataFrame
    whole: bool = True

    def predict(self, plays: Plays) -> Any:
        """Predictive distribution of each play's yards, batch shape [N]; InputError as in `raw_outputs`."""
        return self.model.head(self.raw_outputs(plays))

    def raw_outputs(self, plays: Plays) -> jax.Array:
        """What the network hands to its head for each play, [N, num_outputs].

        Raises:
            InputError: the plays' features, extras or static features are not those that the network was trained on.
        """
        check_features(self.config, plays)
        expected = self.model.static_scale.mean[...].shape[0]
        if plays.static.shape[1] != expected:
            raise InputError(f"plays: expected {expected} static features, got {plays.static.shape[1]}")
        plays = plays.last(self.model.tcn.receptive_field)
        return self._predictor(self._predictor.params, plays, _BATCH_SIZE, self.config.training.buckets)

    @cached_property
    def _predictor(self) -> Predictor:
        return Predictor(self.model)

    def score(self, plays: Plays) -> pl.DataFrame:
        """One row a play: ids, passer, yards, predictive median, (mid-)PIT and normal score of the outcome.

        Raises:
            InputError: as in `raw_outputs`; outcomes that are not whole numbers where those trained on were.
        """
        if self.whole and not plays.is_whole:
            raise InputError("plays: the run was trained on whole numbers, and some of these outcomes are none")
        width = 1.0 if self.whole else 0.0
        distribution = self.predict(plays)
        yards = jax.numpy.asarray(plays.yards)
        return pl.DataFrame(
            {
                "game_id": plays.game_id,
                "play_id": plays.play_id,
                "passer_id": plays.passer_id,
                "passer": plays.passer.astype(str),
                "yards": plays.yards,
                "median": np.asarray(distribution.median()),
                "pit": np.asarray(mid_pit(distribution, yards, width)),
                "score": np.asarray(normal_score(distribution, yards, width)),
            }
        )

    def residuals(self, plays: Plays) -> pl.DataFrame:
        """The table of `score` with two columns more: `residual`, yards less their median, and `log_prob`, in nats.

        That of whole numbers is of their unit interval, else of the density. InputError as in `score`.
        """
        table, law, yards = self.score(plays), self.predict(plays), jax.numpy.asarray(plays.yards)
        log_prob = law.interval_log_prob(yards - 0.5, yards + 0.5) if self.whole else law.log_prob(yards)
        residual = pl.col("yards") - pl.col("median")
        return table.with_columns(residual.alias("residual"), pl.Series("log_prob", np.asarray(log_prob)))

    def plays(self, split: str = "test") -> Plays:
        """The plays of a split of the data set that the run was trained on.

        Raises:
            InputError: the data set is not where it was, or holds other plays now.
        """
        if describe(self.dataset).fingerprint != self.fingerprint:
            raise InputError(f"{self.dataset}: holds other plays than those that {self.path} was trained on")
        return load(self.dataset, split)

    @property
    def steps(self) -> list[int]:
        """Steps of the checkpoints that there are, for `load_run(path, step)`."""
        return sorted(Checkpoints(self.path / "checkpoints", read_only=True).steps)


def load_run(path: str | Path, step: int | None = None) -> Run:
    """Restore a run from its folder.

    Args:
        path: folder with config.json and checkpoints/.
        step: which checkpoint; by default the newest that is not damaged: what is passed over is told on the log.

    A run in progress can be read, and a folder from a stranger: nothing in it is run, and no more memory is taken than
    its arrays have bytes on the disk.

    Raises:
        InputError: the folder is no run, has no checkpoint, the one of `step` or every one is damaged, or its
            configuration and arrays do not fit together.
    """
    path = Path(path)
    file = path / "config.json"
    if not file.is_file():
        raise InputError(f"{path}: expected a run's folder, with config.json and checkpoints; there is no {file.name}")
    try:
        saved = read_json(file, _CONFIG_BYTES)
        values, dataset, num_static = saved["config"], Path(saved["dataset"]), int(saved["num_static"])
        fingerprint, whole = str(saved["fingerprint"]), bool(saved.get("whole", True))
    except DamagedError as error:
        raise InputError(f"{file}: expected the JSON that a training wrote, but {error}") from error
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise InputError(f"{file}: expected the JSON that a training wrote, got {error!r}") from error
    if not isinstance(values, dict) or num_static < 1:
        raise InputError(f"{file}: expected the JSON that a training wrote, got a damaged one")
    try:
        config = from_dict(Config, values)
        check_size(config, num_static)
    except InputError as error:
        raise InputError(f"{file}: {error}") from error
    if not (path / "checkpoints").is_dir():
        raise InputError(f"{path}: the run has no checkpoint yet")
    # Shapes first: a configuration that does not fit the arrays on the disk allocates nothing.
    model = shapes_of(config, make_head(config.head), num_static)
    like = {"best": nnx.state(model, nnx.Param), "constants": constants(model)}
    saved = Checkpoints(path / "checkpoints", read_only=True).load(like, step)
    for tree in saved.trees.values():
        nnx.update(model, tree)
    try:
        history = pl.DataFrame(saved.record["history"])
    except (KeyError, TypeError, ValueError, pl.exceptions.PolarsError) as error:
        raise InputError(f"{path}: expected the history of a training in its checkpoint {saved.step}") from error
    return Run(path, config, dataset, fingerprint, model, saved.step, history, whole)
