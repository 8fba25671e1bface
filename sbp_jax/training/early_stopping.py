"""The early-stopping rule of single runs and members of a sweep: what is recorded, and which epoch is best."""

import math
from typing import Any

from sbp_jax.config import TrainingConfig

Row = dict[str, int | float]
Record = dict[str, Any]


def new_record() -> Record:
    """Return the record before the first epoch: `history`, `best_loss` and `best_epoch` (from 0; -1: none)."""
    return {"history": [], "best_loss": None, "best_epoch": -1}


def with_epoch(record: Record, row: Row) -> tuple[Record, bool]:
    """Return the record with one more epoch, and whether its parameters are the best so far.

    Args:
        record: record of the previous epochs; fields that are not in `new_record` are preserved.
        row: metrics of the epoch; `validation_loss` is NaN without validation plays, and the last epoch is then best.
    """
    loss = None if math.isnan(row["validation_loss"]) else row["validation_loss"]
    record = {**record, "history": [*record["history"], row]}
    better = loss is None or record["best_loss"] is None or loss < record["best_loss"]
    if better:
        record |= {"best_loss": loss, "best_epoch": len(record["history"]) - 1}
    return record, better


def is_done(record: Record, config: TrainingConfig) -> bool:
    """Return whether training is done: the epochs are used up, or validation has not improved for `patience` epochs."""
    count = len(record["history"])
    stale = record["best_loss"] is not None and count - 1 - record["best_epoch"] >= config.patience
    return count >= config.epochs or stale
