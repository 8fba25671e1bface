"""A finished or running training on disk, restored for analysis: `sbp.load_run(path)`."""

import json
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
from sbp_jax.errors import InputError
from sbp_jax.models.network import Network
from sbp_jax.scoring import mid_pit, normal_score
from sbp_jax.training import Checkpoints, Predictor
from sbp_jax.training.build import check_features, constants, make_head, make_network

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


def load_run(path: str | Path, step: int | None = None) -> Run:
    """Restore a run from its folder.

    Args:
        path: folder with config.json and checkpoints/.
        step: which checkpoint; the newest by default.

    Raises:
        InputError: the folder is no run, has no checkpoint, or its configuration and arrays do not fit together.
    """
    path = Path(path)
    file = path / "config.json"
    if not file.is_file():
        raise InputError(f"{path}: expected a run's folder, with config.json and checkpoints; there is no {file.name}")
    try:
        saved = json.loads(file.read_text())
        values, dataset, num_static = saved["config"], Path(saved["dataset"]), int(saved["num_static"])
        fingerprint, whole = str(saved["fingerprint"]), bool(saved.get("whole", True))
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{file}: expected the JSON that a training wrote, got {error!r}") from error
    if not isinstance(values, dict) or num_static < 1:
        raise InputError(f"{file}: expected the JSON that a training wrote, got a damaged one")
    try:
        config = from_dict(Config, values)
    except InputError as error:
        raise InputError(f"{file}: {error}") from error
    if not (path / "checkpoints").is_dir():
        raise InputError(f"{path}: the run has no checkpoint yet")
    model = make_network(config, make_head(config.head), num_static)
    checkpoints = Checkpoints(path / "checkpoints", read_only=True)
    record = checkpoints.record(step)
    nnx.update(model, checkpoints.restore("best", nnx.state(model, nnx.Param), step))
    nnx.update(model, checkpoints.restore("constants", constants(model), step))
    found = checkpoints.latest if step is None else step
    checkpoints.close()
    return Run(path, config, dataset, fingerprint, model, int(found or 0), pl.DataFrame(record["history"]), whole)
