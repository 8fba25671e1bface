"""Speed of training: a step against the peer's network, against the machine's floor, and whole epochs on the device."""

import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from experiments.benchmarks.peer_network import training_step
from experiments.benchmarks.timing import in_turn, median_ms
from experiments.properties.peer import Peer
from sbp_jax.config import Config, HeadConfig
from sbp_jax.data.arrays import Arrays
from sbp_jax.data.batching import FRAME_FEATURES, PLAYER_FEATURES, PLAYERS, Plays
from sbp_jax.data.symmetry import mirror_of
from sbp_jax.distributions.heads import objective
from sbp_jax.models.network import Network, NetworkConfig
from sbp_jax.training import Predictor, ResidentFeed, Trainer
from sbp_jax.training.build import make_head, make_network, set_statistics

PARTS = ("step", "floor", "shares", "epochs")
BATCH_SIZES = (64, 256, 1024, 4096)
FRAMES, BINS, STATICS = 40, 100, 16
TARGET_RATIO = 5  # times the peer's plays a second, at 256 plays
# the peer's network: a flat TCN whose last state is the head's only input
SAME = NetworkConfig(encoder="flat", channels=64, layers=4, kernel_size=3, hidden=(), dropout=0.0)
NETWORKS = {"ours": SAME, "default network": NetworkConfig()}
FORMS = ("ours", "ours, all frames", "default network", "peer")
PLAYS, EPOCHS = 50_000, 20


class WholeNetwork(Network):
    """The same function by the states of all frames, as the peer computes it."""

    def encode_last(self, x: Any, mask: Any, present: Any, key: Any = None) -> Any:
        """The last valid frame's of all states."""
        last = jnp.sum(mask, axis=1, dtype=jnp.int32) - 1
        return jnp.take_along_axis(self.encode(x, mask, present, key), last[:, None, None], axis=1)[:, 0]


def plays(count: int, frames: int = FRAMES) -> Plays:
    """Synthetic plays of equal length, all players tracked; outcomes are whole yards."""
    random = np.random.default_rng(0)
    ids = np.arange(count, dtype=np.int64)
    return Plays(
        frames=random.standard_normal((count * frames, PLAYERS, PLAYER_FEATURES), np.float32),
        offsets=np.arange(count + 1, dtype=np.int64) * frames,
        players=np.ones((count * frames, PLAYERS), bool),
        static=random.standard_normal((count, STATICS), np.float32),
        yards=np.round(7 + 10 * random.standard_normal(count)).astype(np.float32),
        game_id=ids,
        play_id=ids,
        passer_id=ids,
        passer=np.full(count, ""),
    )


def trainer_of(network: NetworkConfig, data: Plays, loss: str = "exact", whole: bool = False) -> Trainer:
    """The compiled step of a network on some plays."""
    config = Config(network=network, head=HeadConfig(bins=BINS if network == SAME else HeadConfig().bins))
    head = make_head(config.head)
    model = make_network(config, head, STATICS)
    set_statistics(model, data, head.initial(data.yards))
    if whole:
        graph, state = nnx.split(model)
        model = nnx.merge(graph, state)
        model.__class__ = WholeNetwork
    return Trainer(Predictor(model), head, objective(loss), config.optimizer, total_steps=1000)


def batch_of(data: Plays) -> dict[str, jax.Array]:
    """All plays as one batch."""
    count = len(data)
    return {
        "x": jnp.asarray(data.frames.reshape(count, -1, FRAME_FEATURES)),
        "mask": jnp.ones((count, len(data.frames) // count), bool),
        "players": jnp.asarray(data.players.reshape(count, -1, PLAYERS)),
        "static": jnp.asarray(data.static),
        "yards": jnp.asarray(data.yards),
        "valid": jnp.ones(count, bool),
    }


def step_call(trainer: Trainer, batch: dict[str, jax.Array]) -> Callable[[], Any]:
    """A call that takes one step; the state is donated from call to call."""
    held = [trainer.initial(0)]

    def call() -> Any:
        held[0], metrics = trainer.step(held[0], batch)
        return metrics

    return call


def step(seconds: float) -> list[dict[str, Any]]:
    """One row a batch size: milliseconds a step of all forms, in turn; the peer's is None where it is not installed."""
    peer, rows = Peer.load(), []
    for size in BATCH_SIZES:
        data = plays(size)
        batch = batch_of(data)
        calls = {
            "ours": step_call(trainer_of(SAME, data), batch),
            "ours, all frames": step_call(trainer_of(SAME, data, whole=True), batch),
            "default network": step_call(trainer_of(NetworkConfig(), data, "interval"), batch),
        }
        if peer is not None:
            x, yards = np.asarray(batch["x"]), data.yards
            sizes = (SAME.layers, SAME.channels, SAME.kernel_size, BINS)
            calls["peer"] = training_step(peer, x, np.ones(x.shape[:2], bool), yards, *sizes)
        times = in_turn(calls, seconds)
        rows.append({"plays": size} | {name: median_ms(times[name]) if name in times else None for name in FORMS})
    return rows


def floor(seconds: float) -> dict[str, Any]:
    """Floating-point operations a second of a large matrix product, and those that a step of 256 plays takes."""
    size = 2048 if jax.devices()[0].platform == "cpu" else 8192
    a = jnp.asarray(np.random.default_rng(0).standard_normal((size, size), np.float32))
    product = jax.jit(lambda a: jnp.matmul(a, a, precision=jax.lax.Precision.HIGHEST))
    data = plays(256)
    batch, result = batch_of(data), {}
    for name, network in NETWORKS.items():
        trainer = trainer_of(network, data, "exact" if network == SAME else "interval")
        analysis: Any = trainer.step.lower(trainer.initial(0), batch).compile().cost_analysis()
        result[name] = analysis["flops"]
    times = in_turn({"product": lambda: product(a)}, seconds)
    return {"flops_per_s": 2 * size**3 / (1e-3 * median_ms(times["product"])), "size": size, "step_flops": result}


def shares(seconds: float) -> list[dict[str, Any]]:
    """Where a step of 256 plays goes: milliseconds of its pieces with their gradient, each compiled by itself."""
    rows = []
    for name, network in NETWORKS.items():
        times = in_turn(_pieces(network), seconds)
        rows += [{"network": name, "piece": piece, "ms": median_ms(each)} for piece, each in times.items()]
    return rows


def _pieces(settings: NetworkConfig) -> dict[str, Callable[[], Any]]:
    data = plays(256)
    batch, config = batch_of(data), Config(network=settings)
    head, loss = make_head(config.head), objective("interval")
    network = make_network(config, head, STATICS)
    graph, params, constants = nnx.split(network, nnx.Param, ...)
    window = slice(-network.tcn.receptive_field, None)
    there = (batch["players"] & batch["mask"][:, :, None])[:, window]
    x = batch["x"].reshape(*batch["players"].shape, -1)[:, window]
    encoded = network.encoder(x, there)
    state = network.encode_last(batch["x"], batch["mask"], batch["players"])
    raw = network.decode(state, batch["static"])

    def of(run: Callable[..., Any], *inputs: Any) -> Callable[[], Any]:
        gradient = jax.jit(jax.grad(lambda params, *given: jnp.sum(run(nnx.merge(graph, params, constants), *given))))
        return lambda: gradient(params, *inputs)

    law = jax.jit(jax.grad(lambda raw, yards: jnp.sum(loss(head(raw), yards))))
    return {
        "whole step": step_call(trainer_of(settings, data, "interval"), batch),
        "encoder": of(lambda model, x, there: model.encoder(x, there), x, there),
        "TCN": of(lambda model, encoded, mask: model.tcn.last(encoded, mask), encoded, batch["mask"][:, window]),
        "MLP": of(lambda model, state, static: model.decode(state, static), state, batch["static"]),
        "law": lambda: law(raw, batch["yards"]),
    }


def epochs(seconds: float) -> dict[str, Any]:
    """50,000 plays, 20 epochs of the default network on the device; seconds of each epoch, the first with compiling."""
    del seconds
    network = NetworkConfig()
    settings = Config().training
    data = plays(PLAYS, 29)
    trainer = trainer_of(network, data, settings.objective)
    feed = ResidentFeed(Arrays.of(data, (29,)), settings.batch_size, mirror=mirror_of(data))
    state, times = trainer.initial(0), []
    for epoch in range(EPOCHS):
        started = time.perf_counter()
        for after, _ in feed.run(trainer, state, epoch, 0):
            state = after
        jax.block_until_ready(state)
        times.append(time.perf_counter() - started)
    return {"plays": PLAYS, "batch_size": settings.batch_size, "seconds": times}
