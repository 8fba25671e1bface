"""Speed of training: steps against the reference network, the machine's limits, a step's pieces, complete epochs."""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from experiments.benchmarks.batches import NUM_STATIC, network_of, synthetic
from experiments.benchmarks.reference_network import training_step
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
TARGET_RATIO = 5  # ratio to the reference's plays per second, at 256 plays
# the reference network: a flat TCN whose last state is the head's only input; ours adds static features
SAME = NetworkConfig(encoder="flat", channels=64, layers=4, kernel_size=3, hidden=(), dropout=0.0)
DEFAULT = "default network"
FORMS = ("ours", "all frames", DEFAULT, "reference")
TOGETHER = 4  # steps per compiled call
PLAYS, EPOCHS = 50_000, 20


class AllFramesNetwork(Network):
    """The same function, computed from the states of all frames like the reference."""

    def encode_last(self, x: Any, mask: Any, present: Any, dropout: Any = NO_DROPOUT) -> Any:
        """Return the state of the last valid frame, computed with those of all frames."""
        last = jnp.sum(mask, axis=1, dtype=jnp.int32) - 1
        return jnp.take_along_axis(self.encode(x, mask, present, dropout), last[:, None, None], axis=1)[:, 0]


def trainer_of(form: str, data: Plays) -> Trainer:
    """Return the compiled functions of a form of training: ours, over all frames, or the default network."""
    config = Config() if form == DEFAULT else Config(network=SAME, head=HeadConfig(bins=BINS))
    head = make_head(config.head)
    if form == "all frames":
        encoder = FlatEncoder(PLAYERS, PLAYER_FEATURES)
        network = AllFramesNetwork(config.network, encoder, head, NUM_STATIC, rngs=nnx.Rngs(0))
        set_statistics(network, data, head.init_from_data(data.outcome))
    else:
        network = network_of(config, data)
    loss = objective("interval" if form == DEFAULT else "exact")
    return Trainer(Predictor(network), head, loss, Hyperparameters.of(config, 1000))


def steps_call(trainer: Trainer, batch_source: ResidentBatchSource) -> Callable[[], Any]:
    """Return a call that takes an epoch's steps; the state is donated from call to call."""
    state = trainer.initial(0)

    def call() -> Any:
        nonlocal state
        for after, _ in batch_source.run(trainer, state, 0, 0):
            state = after
        return state

    return call


def step(seconds: float) -> list[dict[str, Any]]:
    """Time a step of all forms in turn, in ms, one row per batch size; None for a reference that is not installed."""
    reference, rows = Reference.load(), []
    for size in BATCH_SIZES:
        data = synthetic(np.full(TOGETHER * size, FRAMES))
        batch_source = ResidentBatchSource(Arrays.of(data, (FRAMES,)), size, steps=TOGETHER)
        calls: dict[str, Callable[[], Any]] = {
            form: steps_call(trainer_of(form, data), batch_source) for form in FORMS if form != "reference"
        }
        steps = dict.fromkeys(calls, TOGETHER) | {"reference": 1}
        if reference is not None:
            x = data.frames[: size * FRAMES].reshape(size, FRAMES, -1)
            sizes, mask = (SAME.layers, SAME.channels, SAME.kernel_size), np.ones(x.shape[:2], bool)
            calls["reference"] = training_step(reference, x, mask, data.outcome[:size], sizes, BINS)
        times = in_turn(calls, seconds)
        row = {form: median_ms(times[form]) / steps[form] if form in times else None for form in FORMS}
        rows.append({"plays": size} | row)
    return rows


def floor(seconds: float) -> dict[str, Any]:
    """Measure operations per second of a large matrix product, and count those of the gradient of 256 plays."""
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
    """Time the pieces of a step of 256 plays with their gradients, in ms, each compiled separately."""
    rows = []
    for form in ("ours", DEFAULT):
        times = in_turn(_pieces(form), seconds)
        rows += [{"network": form, "piece": piece, "ms": median_ms(each)} for piece, each in times.items()]
    return rows


def epochs(seconds: float) -> dict[str, Any]:
    """Time each of 20 epochs of the default network on 50,000 plays; the first includes compilation."""
    del seconds  # the number of epochs is fixed
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
    """Return the results as Markdown paragraphs; nothing is drawn to `out`."""
    del out
    return [
        f"## Against the reference network\n\nPlays of {FRAMES} frames by 176 columns, 4 residual blocks of 64 "
        f"channels with kernel 3, the exact likelihood of {BINS} bins and two tails, float32; plays/s of complete "
        "steps, in turn in one process. Ours computes only what the last frame's state depends on; next to it are the "
        "same network over all frames, and the default network (attention, two hidden layers, interval likelihood, "
        "dropout). The reference is the same network in PyTorch with gluonts' loss. The target at 256 plays is "
        f"{TARGET_RATIO} times the reference.",
        _step_table(results["step"]),
        "## Against the machine's limits",
        _floor_table(results["floor"], results["step"]["kept"]),
        "## Pieces of a step of 256 plays\n\nEach piece with its gradient, compiled separately and outside a loop.",
        records_table("network | piece | ms\n{network} | {piece} | {ms:.1f}", results["shares"]),
        "## Complete epochs",
        _epochs_text(results["epochs"]),
    ]


def _step_table(settings: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """Plays per second by batch size and allocator setting, and the ratio of ours to the reference."""
    cells = []
    for row in by_setting(settings):
        speeds = ["not installed" if row[form] is None else f"{1e3 * row['plays'] / row[form]:,.0f}" for form in FORMS]
        ratio = "" if row["reference"] is None else f"{row['reference'] / row['ours']:.2f}"
        cells.append([f"{row['plays']:,}", row["allocator"], *speeds, ratio])
    return markdown(["plays per step", "allocator", *FORMS, "ours / reference"], cells)


def _floor_table(floor: Mapping[str, Any], steps: Sequence[Mapping[str, Any]]) -> str:
    """Operations of a step of 256 plays, and their rate as a share of a large matrix product's."""
    (at,) = (row for row in steps if row["plays"] == 256)
    cells = [["matrix product", f"{2 * floor['size'] ** 3 / 1e9:.2f}", f"{floor['flops_per_s'] / 1e9:,.0f}", "100%"]]
    for form, flops in floor["step_flops"].items():
        rate = flops / (1e-3 * at[form])
        cells.append([form, f"{flops / 1e9:.2f}", f"{rate / 1e9:,.0f}", f"{rate / floor['flops_per_s']:.0%}"])
    return markdown(["work", "10^9 operations", "10^9 per second", "share of the product's"], cells)


def _epochs_text(result: Mapping[str, Any]) -> str:
    """A sentence on the seconds of complete epochs on the device."""
    times = result["seconds"]
    rest = sum(times[1:]) / max(len(times) - 1, 1)
    return (
        f"{result['plays']:,} plays of {result['frames']} frames, half of them reflected, {len(times)} epochs of the "
        f"default network in batches of {result['batch_size']}: {sum(times):.0f} seconds, of which {times[0]:.1f} for "
        f"the first epoch with compilation; {result['plays'] / rest:,.0f} plays/s afterwards."
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
    present = (batch["present"] & batch["mask"][:, :, None])[:, window]
    x = batch["x"].reshape(*batch["present"].shape, -1)[:, window]
    encoded = encoder(x, present)
    state = network.encode_last(batch["x"], batch["mask"], batch["present"])
    raw = network.decode(state, batch["static"])
    training_state = trainer.initial(0)

    def complete() -> Any:
        nonlocal training_state
        training_state, metrics = trainer.step(training_state, batch)
        return metrics

    def of(run: Callable[..., Any], *inputs: Any) -> Callable[[], Any]:
        gradient = jax.jit(jax.grad(lambda params, *args: jnp.sum(run(nnx.merge(graph, params, constants), *args))))
        return lambda: gradient(params, *inputs)

    dist = jax.jit(jax.grad(lambda raw, outcome: jnp.sum(loss(head(raw), outcome))))
    return {
        "complete step": complete,
        "encoder": of(lambda model, x, present: model.encoder(x, present), x, present),
        "TCN": of(lambda model, encoded, mask: model.tcn.last(encoded, mask), encoded, batch["mask"][:, window]),
        "MLP": of(lambda model, state, static: model.decode(state, static), state, batch["static"]),
        "distribution": lambda: dist(raw, batch["outcome"]),
    }
