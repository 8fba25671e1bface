"""Speed of training: steps against the peer's network, the machine's floor, where a step goes, and whole epochs."""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from experiments.benchmarks.batches import NUM_STATIC, network_of, synthetic
from experiments.benchmarks.peer_network import training_step
from experiments.benchmarks.timing import by_setting, in_turn, median_ms
from sbp_jax.config import Config, HeadConfig
from sbp_jax.data.batches.arrays import Arrays
from sbp_jax.data.batches.batching import Batches
from sbp_jax.data.batches.symmetry import mirror_of
from sbp_jax.data.plays import PLAYER_FEATURES, PLAYERS, Plays
from sbp_jax.distributions.heads import objective
from sbp_jax.evaluation.conformance.reference import Reference
from sbp_jax.models import FlatEncoder, Network, receptive_field
from sbp_jax.models.network import NetworkConfig
from sbp_jax.models.tcn import NO_DROPOUT
from sbp_jax.reporting.tables import markdown, records_table
from sbp_jax.training import Hyperparameters, Predictor, ResidentBatchSource, Trainer, arrays
from sbp_jax.training.build import make_head, set_statistics

PARTS = ("step", "floor", "shares", "epochs")
TITLE = "Speed of training"
BATCH_SIZES = (64, 256, 1024, 4096)
FRAMES, BINS = 40, 100
WINDOW = receptive_field(NetworkConfig().layers, NetworkConfig().kernel_size)  # all that the default network sees
TARGET_RATIO = 5  # times the peer's plays per second, at 256 plays
# the peer's network: a flat TCN whose last state is the head's only input but for what ours adds beside it
SAME = NetworkConfig(encoder="flat", channels=64, layers=4, kernel_size=3, hidden=(), dropout=0.0)
DEFAULT = "default network"
FORMS = ("ours", "all frames", DEFAULT, "peer")
TOGETHER = 4  # steps of a compiled call
PLAYS, EPOCHS = 50_000, 20


class WholeNetwork(Network):
    """The same function by the states of all frames, as the peer computes it."""

    def encode_last(self, x: Any, mask: Any, present: Any, dropout: Any = NO_DROPOUT) -> Any:
        """The last valid frame's of all states."""
        last = jnp.sum(mask, axis=1, dtype=jnp.int32) - 1
        return jnp.take_along_axis(self.encode(x, mask, present, dropout), last[:, None, None], axis=1)[:, 0]


def trainer_of(form: str, data: Plays) -> Trainer:
    """The compiled functions of a form of training: ours, over all frames, or the default network."""
    config = Config() if form == DEFAULT else Config(network=SAME, head=HeadConfig(bins=BINS))
    head = make_head(config.head)
    if form == "all frames":
        encoder = FlatEncoder(PLAYERS, PLAYER_FEATURES)
        network = WholeNetwork(config.network, encoder, head, NUM_STATIC, rngs=nnx.Rngs(0))
        set_statistics(network, data, head.init_from_data(data.yards))
    else:
        network = network_of(config, data)
    loss = objective("interval" if form == DEFAULT else "exact")
    return Trainer(Predictor(network), head, loss, Hyperparameters.of(config, 1000))


def steps_call(trainer: Trainer, batch_source: ResidentBatchSource) -> Callable[[], Any]:
    """A call that takes an epoch's steps; the state is donated from call to call."""
    held = [trainer.initial(0)]

    def call() -> Any:
        for state, _ in batch_source.run(trainer, held[0], 0, 0):
            held[0] = state
        return held[0]

    return call


def step(seconds: float) -> list[dict[str, Any]]:
    """One row a batch size: milliseconds a step of all forms, in turn; the peer's is None where it is not installed."""
    peer, rows = Reference.load(), []
    for size in BATCH_SIZES:
        data = synthetic(np.full(TOGETHER * size, FRAMES))
        batch_source = ResidentBatchSource(Arrays.of(data, (FRAMES,)), size, steps=TOGETHER)
        calls: dict[str, Callable[[], Any]] = {
            form: steps_call(trainer_of(form, data), batch_source) for form in FORMS if form != "peer"
        }
        taken = dict.fromkeys(calls, TOGETHER) | {"peer": 1}
        if peer is not None:
            x = data.frames[: size * FRAMES].reshape(size, FRAMES, -1)
            sizes = (SAME.layers, SAME.channels, SAME.kernel_size, BINS)
            calls["peer"] = training_step(peer, x, np.ones(x.shape[:2], bool), data.yards[:size], *sizes)
        times = in_turn(calls, seconds)
        row = {form: median_ms(times[form]) / taken[form] if form in times else None for form in FORMS}
        rows.append({"plays": size} | row)
    return rows


def floor(seconds: float) -> dict[str, Any]:
    """Floating-point operations a second of a large matrix product, and those of the gradient of 256 plays."""
    size = 2048 if jax.devices()[0].platform == "cpu" else 8192
    a = jnp.asarray(np.random.default_rng(0).standard_normal((size, size), np.float32))
    product = jax.jit(lambda a: jnp.matmul(a, a, precision=jax.lax.Precision.HIGHEST))
    flops = {}
    for form in FORMS[:3]:
        data = synthetic(np.full(256, FRAMES))
        trainer = trainer_of(form, data)
        lowered = trainer.value_and_grad.lower(trainer.initial(0).params, _batch(data), None)
        analysis: Any = lowered.compile().cost_analysis()
        flops[form] = analysis["flops"]
    times = in_turn({"product": lambda: product(a)}, seconds)
    return {"size": size, "flops_per_s": 2 * size**3 / (1e-3 * median_ms(times["product"])), "step_flops": flops}


def shares(seconds: float) -> list[dict[str, Any]]:
    """Where a step of 256 plays goes: milliseconds of its pieces with their gradient, each compiled by itself."""
    rows = []
    for form in ("ours", DEFAULT):
        times = in_turn(_pieces(form), seconds)
        rows += [{"network": form, "piece": piece, "ms": median_ms(each)} for piece, each in times.items()]
    return rows


def epochs(seconds: float) -> dict[str, Any]:
    """50,000 plays, 20 epochs of the default network: seconds of each, the first with compiling, whatever `seconds`."""
    del seconds
    settings = Config().training
    data = synthetic(np.full(PLAYS, WINDOW))
    trainer = trainer_of(DEFAULT, data)
    batch_source = ResidentBatchSource(Arrays.of(data, (WINDOW,)), settings.batch_size, mirror=mirror_of(data))
    state, times = trainer.initial(0), []
    for epoch in range(EPOCHS):
        started = time.perf_counter()
        for after, _ in batch_source.run(trainer, state, epoch, 0):
            state = after
        jax.block_until_ready(state)
        times.append(time.perf_counter() - started)
    return {"plays": PLAYS, "frames": WINDOW, "batch_size": settings.batch_size, "seconds": times}


def report(results: dict[str, Any], out: Path) -> list[str]:
    """The results as paragraphs of Markdown; nothing is drawn to `out`."""
    del out
    return [
        f"## Against the peer's network\n\nPlays of {FRAMES} frames by 176 columns, 4 residual blocks of 64 channels "
        f"and kernel 3, the exact likelihood of {BINS} bins and two tails, float32; plays/s of whole steps, in turn in "
        "one process. Ours computes what the last frame's state depends on; beside it the same over all frames, and "
        "the default network (attention, two hidden layers, interval likelihood, dropout). The peer is the same "
        f"network in PyTorch under gluonts' loss. {TARGET_RATIO} times the peer is wanted at 256 plays.",
        _step_table(results["step"]),
        "## Against the machine's floor",
        _floor_table(results["floor"], results["step"]["kept"]),
        "## Where a step of 256 plays goes\n\nEach piece with its gradient, compiled by itself outside of a loop.",
        records_table("network | piece | ms\n{network} | {piece} | {ms:.1f}", results["shares"]),
        "## Whole epochs",
        _epochs_text(results["epochs"]),
    ]


def _step_table(settings: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """Plays a second by batch size and allocator setting, and how often ours is as fast as the peer."""
    cells = []
    for row in by_setting(settings):
        speeds = ["not installed" if row[form] is None else f"{1e3 * row['plays'] / row[form]:,.0f}" for form in FORMS]
        ratio = "" if row["peer"] is None else f"{row['peer'] / row['ours']:.2f}"
        cells.append([f"{row['plays']:,}", row["allocator"], *speeds, ratio])
    return markdown(["plays per step", "allocator", *FORMS, "ours / peer"], cells)


def _floor_table(floor: Mapping[str, Any], steps: Sequence[Mapping[str, Any]]) -> str:
    """Operations of a step of 256 plays, and their rate as a share of a large matrix product's."""
    (at,) = (row for row in steps if row["plays"] == 256)
    cells = [["matrix product", f"{2 * floor['size'] ** 3 / 1e9:.2f}", f"{floor['flops_per_s'] / 1e9:,.0f}", "100%"]]
    for form, flops in floor["step_flops"].items():
        rate = flops / (1e-3 * at[form])
        cells.append([form, f"{flops / 1e9:.2f}", f"{rate / 1e9:,.0f}", f"{rate / floor['flops_per_s']:.0%}"])
    return markdown(["work", "10^9 operations", "10^9 a second", "share of the product's"], cells)


def _epochs_text(result: Mapping[str, Any]) -> str:
    """Seconds of whole epochs on the device."""
    times = result["seconds"]
    rest = sum(times[1:]) / max(len(times) - 1, 1)
    return (
        f"{result['plays']:,} plays of {result['frames']} frames, half of them reflected, {len(times)} epochs of the "
        f"default network in batches of {result['batch_size']}: {sum(times):.0f} seconds, {times[0]:.1f} of them for "
        f"the first one with its compilation; {result['plays'] / rest:,.0f} plays/s after it."
    )


def _batch(data: Plays) -> dict[str, jax.Array]:
    """All plays as one batch."""
    (batch,) = Batches(data, len(data), (FRAMES,), shuffle=False)
    return jax.tree.map(jnp.asarray, arrays(batch))


def _pieces(form: str) -> dict[str, Callable[[], Any]]:
    data = synthetic(np.full(256, FRAMES))
    config = Config() if form == DEFAULT else Config(network=SAME)
    batch, head, loss = _batch(data), make_head(config.head), objective("interval")
    network, trainer = network_of(config, data), trainer_of(form, data)
    graph, params, constants = nnx.split(network, nnx.Param, ...)
    encoder, window = network.encoder, slice(-network.receptive_field, None)
    assert encoder is not None, "the forms that are timed look at frames"
    there = (batch["players"] & batch["mask"][:, :, None])[:, window]
    x = batch["x"].reshape(*batch["players"].shape, -1)[:, window]
    encoded = encoder(x, there)
    state = network.encode_last(batch["x"], batch["mask"], batch["players"])
    raw = network.decode(state, batch["static"])
    held = [trainer.initial(0)]

    def whole() -> Any:
        held[0], metrics = trainer.step(held[0], batch)
        return metrics

    def of(run: Callable[..., Any], *inputs: Any) -> Callable[[], Any]:
        gradient = jax.jit(jax.grad(lambda params, *given: jnp.sum(run(nnx.merge(graph, params, constants), *given))))
        return lambda: gradient(params, *inputs)

    dist = jax.jit(jax.grad(lambda raw, yards: jnp.sum(loss(head(raw), yards))))
    return {
        "whole step": whole,
        "encoder": of(lambda model, x, there: model.encoder(x, there), x, there),
        "TCN": of(lambda model, encoded, mask: model.tcn.last(encoded, mask), encoded, batch["mask"][:, window]),
        "MLP": of(lambda model, state, static: model.decode(state, static), state, batch["static"]),
        "distribution": lambda: dist(raw, batch["yards"]),
    }
