"""Speed of training: steps against the peer's network, the machine's floor, where a step goes, and whole epochs."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from experiments.benchmarks import training_page as tables
from experiments.benchmarks.batches import NUM_STATIC, synthetic
from experiments.benchmarks.peer_network import training_step
from experiments.benchmarks.timing import in_turn, median_ms
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
from sbp_jax.training import Hyperparameters, Predictor, ResidentFeed, Trainer, arrays
from sbp_jax.training.build import make_head, make_network, set_statistics

PARTS = ("step", "floor", "shares", "epochs")
TITLE = "Speed of training"
BATCH_SIZES = (64, 256, 1024, 4096)
FRAMES, BINS = 40, 100
WINDOW = receptive_field(NetworkConfig().layers, NetworkConfig().kernel_size)  # all that the default network sees
TARGET_RATIO = 5  # times the peer's plays a second, at 256 plays
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
    else:
        network = make_network(config, head, NUM_STATIC)
    set_statistics(network, data, head.initial(data.yards))
    loss = objective("interval" if form == DEFAULT else "exact")
    return Trainer(Predictor(network), head, loss, Hyperparameters.of(config, 1000))


def steps_call(trainer: Trainer, feed: ResidentFeed) -> Callable[[], Any]:
    """A call that takes an epoch's steps; the state is donated from call to call."""
    held = [trainer.initial(0)]

    def call() -> Any:
        for state, _ in feed.run(trainer, held[0], 0, 0):
            held[0] = state
        return held[0]

    return call


def step(seconds: float) -> list[dict[str, Any]]:
    """One row a batch size: milliseconds a step of all forms, in turn; the peer's is None where it is not installed."""
    peer, rows = Reference.load(), []
    for size in BATCH_SIZES:
        data = synthetic(np.full(TOGETHER * size, FRAMES))
        feed = ResidentFeed(Arrays.of(data, (FRAMES,)), size, steps=TOGETHER)
        calls: dict[str, Callable[[], Any]] = {
            form: steps_call(trainer_of(form, data), feed) for form in FORMS if form != "peer"
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
    feed = ResidentFeed(Arrays.of(data, (WINDOW,)), settings.batch_size, mirror=mirror_of(data))
    state, times = trainer.initial(0), []
    for epoch in range(EPOCHS):
        started = time.perf_counter()
        for after, _ in feed.run(trainer, state, epoch, 0):
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
        tables.step_table(results["step"], FORMS),
        "## Against the machine's floor",
        tables.floor_table(results["floor"], results["step"]["kept"]),
        "## Where a step of 256 plays goes\n\nEach piece with its gradient, compiled by itself outside of a loop.",
        tables.shares_table(results["shares"]),
        "## Whole epochs",
        tables.epochs_text(results["epochs"]),
    ]


def _batch(data: Plays) -> dict[str, jax.Array]:
    """All plays as one batch."""
    (batch,) = Batches(data, len(data), (FRAMES,), shuffle=False)
    return jax.tree.map(jnp.asarray, arrays(batch))


def _pieces(form: str) -> dict[str, Callable[[], Any]]:
    data = synthetic(np.full(256, FRAMES))
    config = Config() if form == DEFAULT else Config(network=SAME)
    batch, head, loss = _batch(data), make_head(config.head), objective("interval")
    network, trainer = make_network(config, head, NUM_STATIC), trainer_of(form, data)
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

    law = jax.jit(jax.grad(lambda raw, yards: jnp.sum(loss(head(raw), yards))))
    return {
        "whole step": whole,
        "encoder": of(lambda model, x, there: model.encoder(x, there), x, there),
        "TCN": of(lambda model, encoded, mask: model.tcn.last(encoded, mask), encoded, batch["mask"][:, window]),
        "MLP": of(lambda model, state, static: model.decode(state, static), state, batch["static"]),
        "law": lambda: law(raw, batch["yards"]),
    }
