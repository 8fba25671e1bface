"""What a training leaves beside its checkpoints: config.json, metrics.parquet, TensorBoard events."""

import dataclasses
import json
import math
from importlib.metadata import version
from pathlib import Path

import polars as pl
from tensorboardX import SummaryWriter

from sbp_jax.config import Config
from sbp_jax.training.fit import Row


class Record:
    """Writer of a run's folder.

    Args:
        folder: the run's; made when missing.
        config: its configuration.
        dataset: folder of the prepared plays.
        fingerprint: of the prepared plays.
        num_static: static features a play.
        whole: the outcomes are whole numbers, and judged so.
    """

    def __init__(
        self, folder: Path, config: Config, dataset: Path, fingerprint: str, num_static: int, whole: bool = True
    ):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        content = {
            "config": dataclasses.asdict(config),
            "dataset": str(dataset.absolute()),
            "fingerprint": fingerprint,
            "num_static": num_static,
            "whole": whole,
            "versions": {
                name: version(name) for name in ("sbp_jax", "jax", "flax", "optax", "orbax-checkpoint", "numpy")
            },
        }
        (folder / "config.json").write_text(json.dumps(content, indent=2) + "\n")
        self._events = SummaryWriter(str(folder / "events"))

    def metrics(self, history: list[Row]) -> None:
        """Write the history so far."""
        temporary = self.folder / "metrics.parquet.partial"
        pl.DataFrame(history).write_parquet(temporary)
        temporary.replace(self.folder / "metrics.parquet")

    def event(self, row: Row) -> None:
        """Write a row of the history as TensorBoard events."""
        for name, value in row.items():
            if name not in ("epoch", "step") and math.isfinite(value):
                self._events.add_scalar(name, value, int(row["step"]))

    def close(self) -> None:
        """Flush the events."""
        self._events.close()
