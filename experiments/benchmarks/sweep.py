"""Speed of a sweep: members as one program against the same members one after another, compilation aside."""

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
STEPS = 4  # of a compiled call
TABLE = """
members, way | allocator | ms a step of all | plays/s | times in sequence | first call, s
{members}, {way} | {allocator} | {ms:,.1f} | {plays_per_s:,.0f} | {ratio:.2f} | {first_s:.1f}
"""


def configurations(count: int) -> list[Config]:
    """Members that differ in seed, learning rate, tail masses and number of bins."""
    base, found = with_objective(Config(), "interval"), []
    for i in range(count):
        mass = 0.02 + 0.01 * (i % 8)
        found.append(
            replace(
                base,
                head=replace(base.head, bins=(71, 36, 50, 60)[i % 4], tail_mass=(mass, mass)),
                optimizer=replace(base.optimizer, learning_rate=1e-3 * (1 + i % 3)),
                training=replace(base.training, seed=i),
            )
        )
    return found


def members(seconds: float) -> list[dict[str, Any]]:
    """One row per number of members and way: milliseconds a step of all, as one program and in sequence, in turn."""
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
    """The results as paragraphs of Markdown; nothing is drawn to `out`."""
    del out
    return [
        "Members of the default network that differ in seed, learning rate, tail masses and number of bins, "
        f"{Config().training.batch_size} plays of {WINDOW} frames per step, {STEPS} steps per call. In sequence each "
        "member has its own compiled training and takes its steps after the other's; as one program all take theirs "
        "in one call, one after another in a compiled loop or vectorized. Measured in turn, compilation aside; the "
        "first call of each, with its compilation, is beside it.",
        records_table(TABLE, by_setting(results["members"])),
    ]


def prepared(configs: Sequence[Config], size: int, steps: int, window: int) -> tuple[list[Network], Any, list[Any]]:
    """The networks of the members, `steps` batches of `size` plays on the device, and each member's order of them."""
    data = synthetic(np.full(steps * size, window))
    padded = Arrays.of(data, (window,))
    orders = [DeviceIndexPlan(padded, size, config.training.seed).epoch(0) for config in configs]
    return [network_of(config, data) for config in configs], to_device(padded), orders


def first_call(call: Callable[[], Any]) -> float:
    """Seconds of a first call, with its compilation."""
    started = time.perf_counter()
    jax.block_until_ready(call())
    return time.perf_counter() - started


def in_sequence(configs: Sequence[Config], networks: Sequence[Network], resident: Any, orders: Any) -> Any:
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
    widest = max(networks, key=lambda network: network.head.num_outputs)
    sweep = Sweep(configs, widest, vmap_size=vmap_size)
    made = [sweep.member(i, network, 1000) for i, network in enumerate(networks)]
    values, held = stack([member for member, _ in made]), [stack([state for _, state in made])]
    order = {name: jnp.stack([jnp.asarray(each[name]) for each in orders]) for name in orders[0]}

    def call() -> State:
        held[0], _ = sweep.scan(held[0], values, order, resident, None)
        return held[0]

    return call
