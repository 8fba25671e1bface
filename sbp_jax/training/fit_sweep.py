"""The training loop of a sweep: members train in lockstep, each stops early on its own, and a killed sweep resumes."""

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
from sbp_jax.training.stop import Stopped, StopRequest
from sbp_jax.training.sweep import Member, Sweep, pick, stack


@dataclass(frozen=True)
class Plan:
    """The plays of a sweep, on the device.

    Attributes:
        resident: training plays.
        index_plans: index plan of each member, drawn with the member's seed.
        signs: factor that reflection applies to each feature of a player; None if no play is reflected.
        validation: plays for early stopping; if None, all epochs run.
        validation_plan: index plan of their batches, from `DeviceIndexPlan.epoch`.
    """

    resident: Resident
    index_plans: Sequence[DeviceIndexPlan]
    signs: Any
    validation: Resident | None
    validation_plan: dict[str, np.ndarray]


@dataclass(frozen=True)
class Finished:
    """Result of a member, in the output layout of its own head.

    Attributes:
        index: number of the member.
        params: averaged parameters of its best epoch.
        state: state after its last step.
        constants: statistics of its network.
        record: record as in a checkpoint of a single run: "history", "best_loss", "best_epoch".
        diverged: what diverged, at which step and with which plays; None if training did not diverge.
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
    steps_per_call: int = STEPS_PER_CALL,
    on_step: Callable[[int, int], None] = lambda step, alive: None,
    on_finished: Callable[[Finished], None] = lambda finished: None,
    stop: StopRequest | None = None,
    monitors: Sequence[DivergenceMonitor] = (),
) -> None:
    """Train all members until each has used up its epochs, stopped improving, or diverged.

    Args:
        sweep: compiled functions.
        members: values and initial state of each member, from `Sweep.member`.
        plan: the plays.
        checkpoints: where the active members are saved after every epoch; training resumes from there.
        checkpoint_every: steps between additional checkpoints within an epoch; 0 for none.
        steps_per_call: number of steps in one compiled call.
        on_step: called after each compiled call with the number of steps taken and the number of active members.
        on_finished: called with each member's result when it stops. A resumed sweep repeats the call, with the same
            values, for members that stopped after the checkpoint.
        stop: stop request, checked after every compiled call and every epoch.
        monitors: divergence monitor of each member; by default, a member stops only at values that are not finite.

    Raises:
        Stopped: a stop was requested; the current state is saved.
    """
    stop = stop or StopRequest()
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
        if stop.requested:
            raise Stopped(group.step)

    while group.alive:
        start_s, calls = time.perf_counter(), []
        while group.step < (group.epoch + 1) * per_epoch:
            previous = group.step
            calls.append(group.take(min(steps_per_call, per_epoch)))
            stop.unsaved = True
            if len(calls) > 1:
                jax.block_until_ready(calls[-2].metrics)  # progress reports are at most one call ahead
            on_step(group.step, len(group.alive))
            checkpoint_due = bool(checkpoint_every) and group.step // checkpoint_every > previous // checkpoint_every
            if (checkpoint_due or stop.requested) and group.step < (group.epoch + 1) * per_epoch:
                group.check_steps(calls)
                group.check_states()
                save()
        group.check_steps(calls)
        group.check_states()
        for finished in group.end_epoch(time.perf_counter() - start_s):
            on_finished(finished)
        if group.alive:
            save()
        stop.unsaved = False


@dataclass(frozen=True)
class _Call:
    """A compiled call: `count` steps from number `first`, and the metrics of each lane."""

    first: int
    count: int
    metrics: Metrics


class _Group:
    """The members that train in lockstep, in lanes: positions along the first axis of stacked arrays."""

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
        self._fill_lanes(list(range(len(members))))

    def _fill_lanes(self, lanes: list[int]) -> None:
        """Assign lanes to these members, padded with idle copies to a multiple of the number of devices."""
        self._lanes = lanes
        fill = -len(lanes) % self.sweep.devices
        members = [self._members[i] for i in [*lanes, *lanes[:1] * fill]]
        self._values = self.sweep.place(stack([member for member, _ in members]), members=True)
        self.state: State = self.sweep.place(stack([state for _, state in members]), members=True)
        self.best = jax.tree.map(jnp.copy, self.state.average)  # a copy, because the step donates the state
        self._epoch_plans: tuple[int, list[dict[str, np.ndarray]]] | None = None

    @property
    def epoch(self) -> int:
        """Number of completed epochs."""
        return max(len(self.records[i]["history"]) for i in self.alive) if self.alive else 0

    def take(self, count: int) -> _Call:
        """Dispatch up to `count` steps of each active member, without waiting for them."""
        per_epoch = len(self.plan.index_plans[0].sampler)
        epoch, start = self.epoch, self.step - self.epoch * per_epoch
        if self._epoch_plans is None or self._epoch_plans[0] != epoch:
            self._epoch_plans = epoch, [self.plan.index_plans[i].epoch(epoch) for i in self._lanes]
        parts = []
        for i, epoch_plan in zip(self._lanes, self._epoch_plans[1], strict=True):
            # a stopped member gets steps past the end of the epoch, which do nothing
            at = start if i in self.alive else per_epoch
            parts.append(self.plan.index_plans[i].part(epoch_plan, at, count))
        idle = self.plan.index_plans[self._lanes[0]].part(self._epoch_plans[1][0], per_epoch, count)
        parts += [idle] * (-len(parts) % self.sweep.devices)
        part = self.sweep.place({name: np.stack([each[name] for each in parts]) for name in parts[0]}, members=True)
        self.state, metrics = self.sweep.scan(self.state, self._values, part, self._resident, self.plan.signs)
        call = _Call(self.step, min(count, per_epoch - start), metrics)
        self.step += call.count
        return call

    def check_steps(self, calls: list[_Call]) -> None:
        """Record the first step of each member that its monitor rejects, and clear the list of calls."""
        for call in calls:
            values = {name: np.asarray(value)[:, : call.count] for name, value in call.metrics.items()}
            for lane, i in self._healthy():
                metrics = {name: value[lane] for name, value in values.items()}
                self._check(i, DivergenceMonitor.steps, call.first + call.count, metrics)
        calls.clear()

    def check_states(self) -> None:
        """Record the members whose monitor rejects their state."""
        names = ("params", "average", "optimizer")
        trees = {name: jax.tree.map(np.asarray, getattr(self.state, name)) for name in names}
        for lane, i in self._healthy():
            self._check(i, partial(DivergenceMonitor.state, **pick(trees, lane)), self.step)

    def _healthy(self) -> list[tuple[int, int]]:
        """Lane and number of the active members that have not diverged."""
        return [(lane, i) for lane, i in enumerate(self._lanes) if i in self.alive and not self.records[i]["diverged"]]

    def _check(self, i: int, method: Callable[..., None], *arguments: Any) -> None:
        try:
            method(self._monitors[i], *arguments)
        except DivergedError as error:
            plays = {"plays": error.plays, "names": error.names}
            self.records[i]["diverged"] = {"step": error.step, "what": error.what, **plays}

    def end_epoch(self, seconds: float) -> list[Finished]:
        """Validate, update the best parameters, and return the members that are done."""
        losses = np.full(len(self._lanes), math.nan)
        if self._validation is not None:
            losses = np.asarray(
                self.sweep.evaluate(self.state.average, self._values, self.plan.validation_plan, self._validation)
            )
        sums = np.asarray(self.state.loss_sum)
        better = np.zeros(jax.tree.leaves(self.best)[0].shape[0], bool)
        per_epoch, indices = len(self.plan.index_plans[0].sampler), []
        for lane, i in enumerate(self._lanes):
            record, settings = self.records[i], self.sweep.configs[i].training
            if i not in self.alive:
                continue
            loss = float(losses[lane])
            if self._validation is not None and record["diverged"] is None:
                self._check(i, DivergenceMonitor.validation, self.step, loss)
            if record["diverged"] is None:
                row: Row = {"epoch": len(record["history"]) + 1, "step": self.step}
                row |= {"training_loss": float(sums[lane]) / per_epoch, "validation_loss": loss}
                row |= {"seconds": seconds / len(self.alive)}
                record, better[lane] = with_epoch(record, row)
                self.records[i] = record
            if is_done(record, settings) or record["diverged"] is not None:
                indices.append(i)
        self.best = _where(jnp.asarray(better), self.state.average, self.best)
        self.state = replace(self.state, loss_sum=jnp.zeros_like(self.state.loss_sum))
        results = [self._finished(i) for i in indices]
        self.alive = [i for i in self.alive if i not in indices]
        if self.sweep.vmap_size > 1 and self.alive and 2 * len(self.alive) <= len(self._lanes):
            self._compact_lanes()
        return results

    def _finished(self, i: int) -> Finished:
        lane, record = self._lanes.index(i), dict(self.records[i])
        cause = record.pop("diverged")
        diverged = None if cause is None else DivergedError(**cause)
        state, best = (self.sweep.narrow(i, pick(tree, lane)) for tree in (self.state, self.best))
        constants = self.sweep.narrow(i, pick(self._values.constants, lane))
        return Finished(i, best, state, constants, record, diverged)

    def _compact_lanes(self) -> None:
        """Drop the lanes of stopped members; under vmap they cost as much as the others."""
        lanes = [self._lanes.index(i) for i in self.alive]
        state, best = ([pick(tree, lane) for lane in lanes] for tree in (self.state, self.best))
        self._fill_lanes(list(self.alive))
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
        """Resume from the newest checkpoint."""

        def like(record: dict[str, Any]) -> dict[str, Any]:
            self._fill_lanes(record["lanes"])
            return {"state": self.state, "best": self.best}

        checkpoint = checkpoints.load(like)
        self.step, self.alive, self.records = checkpoint.step, checkpoint.record["alive"], checkpoint.record["members"]
        self.state, self.best = (self.sweep.place(checkpoint.trees[name], members=True) for name in ("state", "best"))


def _where(mask: jax.Array, a: Any, b: Any) -> Any:
    """Select from two trees of stacked arrays: `a` for the members where `mask` `[members]`, else `b`."""
    return jax.tree.map(lambda x, y: jnp.where(mask.reshape(-1, *(1,) * (x.ndim - 1)), x, y), a, b)
