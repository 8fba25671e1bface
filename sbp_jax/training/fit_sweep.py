"""The training loop of a sweep: members keep step, each stops early by itself, and all go on where they were."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from sbp_jax.training.batch_source import STEPS_PER_CALL, DeviceIndexPlan
from sbp_jax.training.checkpoints import Checkpoints
from sbp_jax.training.diverged import DivergedError, DivergenceMonitor
from sbp_jax.training.early_stopping import Record, Row, is_done, new_record, with_epoch
from sbp_jax.training.resident import Resident
from sbp_jax.training.step import Metrics, State
from sbp_jax.training.stop import Stop, Stopped
from sbp_jax.training.sweep import Member, Sweep, pick, stack


@dataclass(frozen=True)
class Plan:
    """The plays of a sweep, on the device.

    Attributes:
        resident: training plays.
        schedules: of each member, by its seed.
        signs: factor of each feature of a reflected player, None where no play is reflected.
        validation: plays to stop by, None to run every epoch.
        validation_order: their batches, as `DeviceIndexPlan.epoch` has it.
    """

    resident: Resident
    index_plans: Sequence[DeviceIndexPlan]
    signs: Any
    validation: Resident | None
    validation_order: dict[str, np.ndarray]


@dataclass(frozen=True)
class Finished:
    """Outcome of a member, with the outputs of its own head.

    Attributes:
        index: which member.
        params: averaged parameters of its best epoch.
        state: after its last step.
        constants: statistics of its network.
        record: what a checkpoint of its own would say: "history", "best_loss", "best_epoch".
        diverged: what went wrong, at which step, with which plays at hand; None if nothing did.
    """

    index: int
    params: Any
    state: State
    constants: Any
    record: dict[str, Any]
    diverged: DivergedError | None


def fit_sweep(
    sweep: Sweep,
    members: Sequence[tuple[Member, State]],
    plan: Plan,
    checkpoints: Checkpoints | None = None,
    checkpoint_every: int = 0,
    steps_together: int = STEPS_PER_CALL,
    on_step: Callable[[int, int], None] = lambda step, alive: None,
    on_finished: Callable[[Finished], None] = lambda finished: None,
    stop: Stop | None = None,
    monitors: Sequence[DivergenceMonitor] = (),
) -> None:
    """Train all members until each has used up its epochs, stopped improving, or diverged.

    Args:
        sweep: compiled functions.
        members: values and initial state of each, as `Sweep.member` makes them.
        plan: the plays.
        checkpoints: where the members that still train are saved, after every epoch; training goes on from there.
        checkpoint_every: steps between further checkpoints within an epoch; 0 for none.
        steps_together: steps of one compiled call.
        on_step: called with the number of steps taken and of members that took them, after each call.
        on_finished: called once for every member, when it stops; a resumed sweep calls it for those that stopped after
            the checkpoint, so that a call may come twice for one member, with the same values.
        stop: asks to stop: looked at after every compiled call and every epoch.
        watches: of each member, judge whether its training goes well; by default only what is not finite ends it.

    Raises:
        Stopped: as asked; the state reached is saved.
    """
    stop = stop or Stop()
    group = _Group(
        sweep, members, plan, monitors or [DivergenceMonitor(index_plan.sampler) for index_plan in plan.index_plans]
    )
    if checkpoints is not None and checkpoints.latest is not None:
        group.restore(checkpoints)
    per_epoch = len(plan.index_plans[0].sampler)

    def save() -> None:
        if checkpoints is not None and checkpoints.latest != group.step:
            group.save(checkpoints)
        stop.unsaved = False
        if stop.asked:
            raise Stopped(group.step)

    while group.alive:
        started, taken = time.perf_counter(), []
        while group.step < (group.epoch + 1) * per_epoch:
            before = group.step
            taken.append(group.take(min(steps_together, per_epoch)))
            stop.unsaved = True
            if len(taken) > 1:
                jax.block_until_ready(taken[-2].metrics)  # that what is told has been done, but for one call
            on_step(group.step, len(group.alive))
            crossed = bool(checkpoint_every) and group.step // checkpoint_every > before // checkpoint_every
            if (crossed or stop.asked) and group.step < (group.epoch + 1) * per_epoch:
                group.judge(taken)
                group.judge_states()
                save()
        group.judge(taken)
        group.judge_states()
        for finished in group.end_epoch(time.perf_counter() - started):
            on_finished(finished)
        if group.alive:
            save()
        stop.unsaved = False


@dataclass(frozen=True)
class _Taken:
    """A compiled call: the steps from number `first` on, and the metrics of each lane."""

    first: int
    count: int
    metrics: Metrics


class _Group:
    """The members that train together, in lanes: places along the first axis of stacked arrays."""

    def __init__(
        self, sweep: Sweep, members: Sequence[tuple[Member, State]], plan: Plan, monitors: Sequence[DivergenceMonitor]
    ):
        self.sweep, self.plan, self._members, self._monitors = sweep, plan, members, monitors
        self.records: list[Record] = [{**new_record(), "diverged": None} for _ in members]
        self.step = 0
        self.alive = list(range(len(members)))
        self._resident, self._validation = (
            sweep.place(split, members=False) for split in (plan.resident, plan.validation)
        )
        self._board(list(range(len(members))))

    def _board(self, lanes: list[int]) -> None:
        """Lanes for these members, as many as the devices can share; what is left over stands still."""
        self._lanes = lanes
        fill = -len(lanes) % self.sweep.devices
        chosen = [self._members[i] for i in [*lanes, *lanes[:1] * fill]]
        self._values = self.sweep.place(stack([member for member, _ in chosen]), members=True)
        self.state: State = self.sweep.place(stack([state for _, state in chosen]), members=True)
        self.best = jax.tree.map(jnp.copy, self.state.average)  # the step donates the state's own
        self._orders: tuple[int, list[dict[str, np.ndarray]]] | None = None

    @property
    def epoch(self) -> int:
        """Epochs that are over."""
        return max(len(self.records[i]["history"]) for i in self.alive) if self.alive else 0

    def take(self, count: int) -> _Taken:
        """Up to `count` steps of each member that still trains, not waited for."""
        per_epoch = len(self.plan.index_plans[0].sampler)
        epoch, start = self.epoch, self.step - self.epoch * per_epoch
        if self._orders is None or self._orders[0] != epoch:
            self._orders = epoch, [self.plan.index_plans[i].epoch(epoch) for i in self._lanes]
        parts = []
        for i, order in zip(self._lanes, self._orders[1], strict=True):
            # a member that has stopped is given steps beyond the epoch's end
            at = start if i in self.alive else per_epoch
            parts.append(self.plan.index_plans[i].part(order, at, count))
        still = self.plan.index_plans[self._lanes[0]].part(self._orders[1][0], per_epoch, count)
        parts += [still] * (-len(parts) % self.sweep.devices)
        part = self.sweep.place({name: np.stack([each[name] for each in parts]) for name in parts[0]}, members=True)
        self.state, metrics = self.sweep.scan(self.state, self._values, part, self._resident, self.plan.signs)
        taken = _Taken(self.step, min(count, per_epoch - start), metrics)
        self.step += taken.count
        return taken

    def judge(self, taken: list[_Taken]) -> None:
        """Note of each member the first step that its watch rejects; the list is emptied."""
        for call in taken:
            values = {name: np.asarray(value)[:, : call.count] for name, value in call.metrics.items()}
            for lane, i in self._good():
                metrics = {name: value[lane] for name, value in values.items()}
                self._judge(i, DivergenceMonitor.steps, call.first + call.count, metrics)
        taken.clear()

    def judge_states(self) -> None:
        """Note of each member a state that its watch rejects."""
        names = ("params", "average", "optimizer")
        trees = {name: jax.tree.map(np.asarray, getattr(self.state, name)) for name in names}
        for lane, i in self._good():
            self._judge(i, partial(DivergenceMonitor.state, **pick(trees, lane)), self.step)

    def _good(self) -> list[tuple[int, int]]:
        """Lane and number of the members that train and go well."""
        return [(lane, i) for lane, i in enumerate(self._lanes) if i in self.alive and not self.records[i]["diverged"]]

    def _judge(self, i: int, judged: Callable[..., None], *seen: Any) -> None:
        try:
            judged(self._monitors[i], *seen)
        except DivergedError as error:
            plays = {"plays": error.plays, "names": error.names}
            self.records[i]["diverged"] = {"step": error.step, "what": error.what, **plays}

    def end_epoch(self, seconds: float) -> list[Finished]:
        """Validate, keep what is better, and let members go that are through."""
        losses = np.full(len(self._lanes), math.nan)
        if self._validation is not None:
            losses = np.asarray(
                self.sweep.evaluate(self.state.average, self._values, self.plan.validation_order, self._validation)
            )
        sums = np.asarray(self.state.loss_sum)
        better = np.zeros(jax.tree.leaves(self.best)[0].shape[0], bool)
        per_epoch, gone = len(self.plan.index_plans[0].sampler), []
        for lane, i in enumerate(self._lanes):
            record, settings = self.records[i], self.sweep.configs[i].training
            if i not in self.alive:
                continue
            loss = float(losses[lane])
            if self._validation is not None and record["diverged"] is None:
                self._judge(i, DivergenceMonitor.validation, self.step, loss)
            if record["diverged"] is None:
                row: Row = {"epoch": len(record["history"]) + 1, "step": self.step}
                row |= {"training_loss": float(sums[lane]) / per_epoch, "validation_loss": loss}
                row |= {"seconds": seconds / len(self.alive)}
                record, better[lane] = with_epoch(record, row)
                self.records[i] = record
            if is_done(record, settings) or record["diverged"] is not None:
                gone.append(i)
        self.best = _where(jnp.asarray(better), self.state.average, self.best)
        self.state = replace(self.state, loss_sum=jnp.zeros_like(self.state.loss_sum))
        finished = [self._finished(i) for i in gone]
        self.alive = [i for i in self.alive if i not in gone]
        if self.sweep.vmap_size > 1 and self.alive and 2 * len(self.alive) <= len(self._lanes):
            self._close_ranks()
        return finished

    def _finished(self, i: int) -> Finished:
        lane, record = self._lanes.index(i), dict(self.records[i])
        noted = record.pop("diverged")
        diverged = None if noted is None else DivergedError(**noted)
        state, best = (self.sweep.narrow(i, pick(tree, lane)) for tree in (self.state, self.best))
        constants = self.sweep.narrow(i, pick(self._values.constants, lane))
        return Finished(i, best, state, constants, record, diverged)

    def _close_ranks(self) -> None:
        """Give up the lanes of members that have stopped: vectorized, they cost as much as the others."""
        lanes = [self._lanes.index(i) for i in self.alive]
        state, best = ([pick(tree, lane) for lane in lanes] for tree in (self.state, self.best))
        self._board(list(self.alive))
        fill = -len(lanes) % self.sweep.devices
        self.state, self.best = (
            self.sweep.place(stack([*trees, *trees[:1] * fill]), members=True) for trees in (state, best)
        )

    def save(self, checkpoints: Checkpoints) -> None:
        """Write the lanes and the records."""
        record = {"lanes": self._lanes, "alive": self.alive, "members": self.records}
        trees = {"state": self.state, "best": self.best, "constants": self._values.constants}
        checkpoints.save(self.step, trees, record)

    def restore(self, checkpoints: Checkpoints) -> None:
        """Go on from the newest checkpoint."""

        def like(record: dict[str, Any]) -> dict[str, Any]:
            self._board(record["lanes"])
            return {"state": self.state, "best": self.best}

        saved = checkpoints.load(like)
        self.step, self.alive, self.records = saved.step, saved.record["alive"], saved.record["members"]
        self.state, self.best = (self.sweep.place(saved.trees[name], members=True) for name in ("state", "best"))


def _where(chosen: jax.Array, a: Any, b: Any) -> Any:
    """Of two trees of stacked arrays, `a` along the members where `chosen` `[members]`."""
    return jax.tree.map(lambda x, y: jnp.where(chosen.reshape(-1, *(1,) * (x.ndim - 1)), x, y), a, b)
