"""Speed of a sweep: members as one program against the same members in sequence, without compilation."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.benchmarks.batches import network_of, synthetic
from experiments.benchmarks.timing import by_setting, in_turn, median_ms
from experiments.benchmarks.training import WINDOW
from sbp_jax.config import Config
from sbp_jax.data.batches.arrays import Arrays
from sbp_jax.distributions.heads import objective
from sbp_jax.models import Network
from sbp_jax.reporting.tables import records_table
from sbp_jax.training import DeviceIndexPlan, Hyperparameters, Predictor, State, Trainer, to_device
from sbp_jax.training.build import make_head
from sbp_jax.training.check import with_objective
from sbp_jax.training.sweep import Sweep, stack

PARTS = ("members",)
TITLE = "Speed of a sweep"
COUNTS = (1, 4, 16)
STEPS = 4  # steps per compiled call
TABLE = """
members, way | allocator | ms per step of all | plays/s | times in sequence | first call, s
{members}, {way} | {allocator} | {ms:,.1f} | {plays_per_s:,.0f} | {ratio:.2f} | {first_s:.1f}
"""


def configurations(count: int) -> list[Config]:
    """Return members that differ in seed, learning rate, tail masses and number of bins."""
    base, configs = with_objective(Config(), "interval"), []
    for i in range(count):
        mass = 0.02 + 0.01 * (i % 8)
        configs.append(
            replace(
                base,
                head=replace(base.head, bins=(71, 36, 50, 60)[i % 4], tail_mass=(mass, mass)),
                optimizer=replace(base.optimizer, learning_rate=1e-3 * (1 + i % 3)),
                training=replace(base.training, seed=i),
            )
        )
    return configs


def members(seconds: float) -> list[dict[str, Any]]:
    """Time a step of all members in turn, as one program and in sequence, in ms; one row per number and way."""
    size, rows = Config().training.batch_size, []
    for count in COUNTS:
        configs = configurations(count)
        networks, resident, orders = prepared(configs, size, STEPS, WINDOW)
        calls: dict[str, Callable[[], Any]] = {"in sequence": in_sequence(configs, networks, resident, orders)}
        for vmap_size in sorted({1, min(count, 8), count}):
            way = "a loop over members" if vmap_size == 1 else f"{vmap_size} vectorized"
            calls[way] = as_one(configs, networks, resident, orders, vmap_size)
        firsts = {way: first_call(call) for way, call in calls.items()}
        times = in_turn(calls, seconds)
        base = median_ms(times["in sequence"])
        for way in calls:
            ms = median_ms(times[way])
            row = {"members": count, "way": way, "ms": ms / STEPS, "ratio": base / ms, "first_s": firsts[way]}
            rows.append(row | {"plays_per_s": 1e3 * count * size * STEPS / ms})
    return rows


def report(results: dict[str, Any], out: Path) -> list[str]:
    """Return the results as Markdown paragraphs; nothing is drawn to `out`."""
    del out
    return [
        "Members of the default network that differ in seed, learning rate, tail masses and number of bins, "
        f"{Config().training.batch_size} plays of {WINDOW} frames per step, {STEPS} steps per call. In sequence, each "
        "member has its own compiled training step and the members run one after another. As one program, one call "
        "runs the steps of all, in a compiled loop or vectorized. Measured in turn, without compilation; the first "
        "call of each, with compilation, is in the last column.",
        records_table(TABLE, by_setting(results["members"])),
    ]


def prepared(configs: Sequence[Config], size: int, steps: int, window: int) -> tuple[list[Network], Any, list[Any]]:
    """Return the members' networks, `steps` batches of `size` plays on the device, and each member's index plan."""
    data = synthetic(np.full(steps * size, window))
    padded = Arrays.of(data, (window,))
    orders = [DeviceIndexPlan(padded, size, config.training.seed).epoch(0) for config in configs]
    return [network_of(config, data) for config in configs], to_device(padded), orders


def first_call(call: Callable[[], Any]) -> float:
    """Measure the seconds of a first call, with compilation."""
    started = time.perf_counter()
    jax.block_until_ready(call())
    return time.perf_counter() - started


def in_sequence(configs: Sequence[Config], networks: Sequence[Network], resident: Any, orders: Any) -> Any:
    """Return a call that takes the steps of all members in sequence."""
    trainers, states = [], []
    for config, network in zip(configs, networks, strict=True):
        settings, loss = Hyperparameters.of(config, 1000), objective(config.training.objective)
        trainers.append(Trainer(Predictor(network), make_head(config.head), loss, settings))
        states.append(trainers[-1].initial(config.training.seed))

    def call() -> list[State]:
        for i, trainer in enumerate(trainers):
            states[i], _ = trainer.scan(states[i], resident, orders[i], None)
        return states

    return call


def as_one(
    configs: Sequence[Config], networks: Sequence[Network], resident: Any, orders: Any, vmap_size: int
) -> Callable[[], State]:
    """Return a call that takes the steps of all members as one program."""
    widest = max(networks, key=lambda network: network.head.num_outputs)
    sweep = Sweep(configs, widest, vmap_size=vmap_size)
    built = [sweep.member(i, network, 1000) for i, network in enumerate(networks)]
    values, states = stack([member for member, _ in built]), stack([state for _, state in built])
    order = {name: jnp.stack([jnp.asarray(each[name]) for each in orders]) for name in orders[0]}

    def call() -> State:
        nonlocal states
        states, _ = sweep.scan(states, values, order, resident, None)
        return states

    return call
