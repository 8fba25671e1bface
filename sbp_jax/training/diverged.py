"""Detect diverged training runs: values that are not finite or far from their start, and the plays of that batch."""

import logging
import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import chex
import jax
import numpy as np

from sbp_jax.data.batches.epochs import BatchSampler

_log = logging.getLogger(__name__)

# A network starts as the marginal distribution of the outcomes. If the outcomes of the typical batch are e^5 = 150
# times less likely than under the marginal, over many steps, the network has diverged. A few hard batches do not move
# the median.
FAR_NATS = 5.0
WINDOW = 50  # number of steps in the running median
MIN_STEPS = 10  # number of steps before the median is checked
# A smaller excess is reported but does not stop training: a network that memorizes few plays may recover.
ABOVE_NATS = 1.0
ABOVE_EPOCHS = 2
_MAX_NAMES = 8  # maximum number of plays named in the message


class DivergedError(RuntimeError):
    """A training run has diverged; the newest checkpoint is the last good state.

    Attributes:
        step: number of the step, from 1.
        what: the quantity and its value.
        plays: positions of the batch's plays among the training plays; empty if no single batch is responsible.
        names: names of these plays, if known.
    """

    def __init__(self, step: int, what: str, plays: Sequence[int] = (), names: Sequence[str] = ()):
        self.step, self.what, self.plays, self.names = step, what, list(plays), list(names)
        more = f" and {len(names) - _MAX_NAMES} more" if len(names) > _MAX_NAMES else ""
        note = f"; plays of its batch (game_id/play_id): {', '.join(names[:_MAX_NAMES])}{more}" if names else ""
        super().__init__(f"{what} at step {step}{note}; the last good state is the newest checkpoint, if there is one")


@dataclass(frozen=True)
class Marginal:
    """Mean losses of the marginal distribution, where a network starts, in nats per play.

    Attributes:
        training: training loss of the training plays.
        validation: validation loss of the validation plays; NaN if there are none.
    """

    training: float
    validation: float


class DivergenceMonitor:
    """Check the steps, states and epochs of a training run for divergence.

    Args:
        sampler: gives the plays of each batch.
        marginal: losses to compare with; without them, only values that are not finite stop a training run.
        identify: positions of plays -> their names, for the message.
        params: tree of the trained parameters, whose paths name gradients.
    """

    def __init__(
        self,
        sampler: BatchSampler,
        marginal: Marginal | None = None,
        identify: Callable[[np.ndarray], list[str]] | None = None,
        params: Any = None,
    ):
        self._sampler, self._marginal, self._identify = sampler, marginal, identify
        self._names = [_name(path) for path, _ in jax.tree_util.tree_flatten_with_path(params)[0]]
        self._recent: deque[float] = deque(maxlen=WINDOW)

    def steps(self, step: int, metrics: Mapping[str, jax.Array | np.ndarray]) -> None:
        """Check the metrics of the steps that end with number `step`.

        Raises:
            DivergedError: at the first step whose loss or gradient is not finite, or where the median loss of the last
                `WINDOW` steps exceeds the marginal's loss by `FAR_NATS`.
        """
        loss, norm = np.asarray(metrics["loss"]), np.asarray(metrics["gradient_norm"])
        first = step - len(loss) + 1
        for i in np.flatnonzero(~(np.isfinite(loss) & np.isfinite(norm)))[:1]:
            what = f"loss is {loss[i]}" if not math.isfinite(loss[i]) else f"gradient_norm is {norm[i]}"
            leaf = int(np.asarray(metrics["gradient_leaf"])[i])
            if math.isfinite(loss[i]) and 0 <= leaf < len(self._names):
                what += f", first in {self._names[leaf]}"
            raise self._error(first + int(i), what)
        for number, value in enumerate(loss, start=first):
            self._recent.append(float(value))
            if self._marginal is None or len(self._recent) < MIN_STEPS:
                continue
            median = float(np.median(self._recent))
            if median > self._marginal.training + FAR_NATS:
                start = f"the marginal distribution, where the network started, has {self._marginal.training:.3g}"
                what = f"loss is {value:.3g}, its median over {len(self._recent)} steps is {median:.3g} nats ({start})"
                raise self._error(number, what)

    def state(self, step: int, **trees: Any) -> None:
        """Check the trees to save after a step; raise DivergedError that names the first array that is not finite."""
        for name, tree in trees.items():
            try:
                chex.assert_tree_all_finite(tree)
            except AssertionError:
                leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
                first = next(path for path, leaf in leaves if not np.isfinite(leaf).all())
                raise self._error(step, f"{name} {_name(first)} is not finite") from None

    def validation(self, step: int, loss: float | None) -> None:
        """Check a validation loss; raise DivergedError if it is not finite."""
        if loss is not None and not math.isfinite(loss):
            raise DivergedError(step, f"validation loss is {loss}")

    def epochs(self, history: list[dict[str, Any]]) -> None:
        """Log a warning once a loss has been more than `ABOVE_NATS` above the marginal's for `ABOVE_EPOCHS` epochs."""
        if self._marginal is None:
            return
        for name, start in (
            ("training_loss", self._marginal.training),
            ("validation_loss", self._marginal.validation),
        ):
            above = [row[name] > start + ABOVE_NATS for row in history]
            before, lately = above[:-ABOVE_EPOCHS], above[-ABOVE_EPOCHS:]
            if len(lately) == ABOVE_EPOCHS and all(lately) and not (before and before[-1]):
                _log.warning(
                    "epoch %d: %s %.3g has been more than %g nat above the marginal distribution's %.3g for %d epochs: "
                    "the network is worse than the marginal distribution",
                    *(len(history), name.replace("_", " "), history[-1][name], ABOVE_NATS, start, ABOVE_EPOCHS),
                )

    def _error(self, step: int, what: str) -> DivergedError:
        epoch, batch = self._sampler.position(step - 1)
        plays = self._sampler.plan(epoch)[batch][1]
        names = [] if self._identify is None else self._identify(plays)
        return DivergedError(step, what, [int(i) for i in plays], names)


def _name(path: Any) -> str:
    """Name of a parameter, such as "last.kernel"."""
    return jax.tree_util.keystr(path, simple=True, separator=".").removesuffix(".value")
