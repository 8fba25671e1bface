"""Parts of the device benchmark: generators of results, so that a part that is stopped keeps what it has measured.

Nothing here needs polars, TFDS, tyro or a network connection, which a borrowed accelerator does not have.
"""

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.benchmarks import distribution, live, sweep
from experiments.benchmarks.batches import NUM_STATIC, network_of, synthetic
from experiments.benchmarks.timing import in_turn, median_ms
from experiments.benchmarks.training import steps_call
from sbp_jax.config import Config
from sbp_jax.data.batches.arrays import Arrays
from sbp_jax.data.batches.symmetry import mirror_of
from sbp_jax.data.plays import PLAYER_FEATURES, PLAYERS, STATIC_FEATURES, Plays
from sbp_jax.distributions import Quantized
from sbp_jax.errors import InputError
from sbp_jax.evaluation import Metrics, score_outcomes
from sbp_jax.live import LiveScorer
from sbp_jax.live.export import export
from sbp_jax.live.exported import load
from sbp_jax.live.programs import programs_of
from sbp_jax.models import receptive_field
from sbp_jax.models.config import NetworkConfig
from sbp_jax.runs import provenance
from sbp_jax.training import DeviceIndexPlan, Hyperparameters, Predictor, ResidentBatchSource, Trainer, fit, to_device
from sbp_jax.training.build import make_loss, make_validation_loss
from sbp_jax.training.check import with_objective

Result = dict[str, Any]
TARGET_S = 60.0  # target for the long training run
COMPUTE = ("float32", "bfloat16")
_ROOT = Path(__file__).parents[2]
_TEST_PACKAGES = ("pytest", "xdist", "beartype", "mpmath", "hypothesis", "scipy", "polars")


@dataclass(frozen=True)
class Sizes:
    """Sizes of each part of the device benchmark.

    Attributes:
        seconds: time for each comparison; every call is timed at least nine times.
        network: network of all parts that train or score.
        bins: number of bins of the likelihood.
        rows: numbers of rows of the likelihood, each with its own results.
        copy_floats: size of the array whose copy measures the bandwidth.
        pipelined: number of calls between two waits for the device.
        plays, held_out, epochs: sizes of the comparison of float32 with bfloat16.
        batch_sizes: batch sizes for plays/s; the metrics use the first.
        long_plays, long_epochs, long_validation: sizes of the long training run.
        members, member_steps: members of the sweep, and steps per compiled call.
        rows_together, frames, calls: concurrent plays, frames per play and timed frames of live scoring.
        tests: folders or files of tests.
    """

    seconds: float = 3.0
    network: NetworkConfig = field(default_factory=NetworkConfig)
    bins: int = 100
    rows: tuple[int, ...] = (131_072, 1_048_576)
    copy_floats: int = 2**28
    pipelined: int = 20
    plays: int = 16_384
    held_out: int = 8_192
    epochs: int = 8
    batch_sizes: tuple[int, ...] = (128, 1024, 4096)
    long_plays: int = 50_000
    long_epochs: int = 20
    long_validation: int = 5_000
    members: int = 16
    member_steps: int = 50
    rows_together: int = 32
    frames: int = 40
    calls: int = 500
    tests: tuple[str, ...] = ("tests/distributions", "tests/models", "tests/training")


FULL = Sizes()
SMOKE = Sizes(
    seconds=0.0,
    network=NetworkConfig(encoder="flat", channels=4, layers=1, hidden=(8,), dropout=0.1),
    bins=20,
    rows=(64, 128),
    copy_floats=1024,
    pipelined=2,
    plays=64,
    held_out=32,
    epochs=2,
    batch_sizes=(16, 32),
    long_plays=64,
    long_epochs=2,
    long_validation=32,
    members=2,
    member_steps=2,
    rows_together=2,
    frames=3,
    calls=6,
    tests=("tests/training/test_config.py",),
)


def likelihood(sizes: Sizes) -> Iterator[Result]:
    """Compare the bytes per second of the log-likelihood and its gradient with those of a large copy, timed in turn."""
    large = jnp.zeros(sizes.copy_floats, jnp.float32)
    copy = distribution.compiled(lambda x: x + 1, large)
    empty = distribution.compiled(lambda x: x + 1, large[:1])
    rows: list[Result] = []
    for count in sizes.rows:
        ours = distribution.Likelihood(count, sizes.bins)
        programs: dict[str, tuple[Any, tuple[Any, ...]]] = {
            "copy": (copy, (large,)),
            "copy of the logits": (ours.copy, ours.parameters[:1]),
            "likelihood": (ours.forward, (ours.parameters, ours.y)),
            "likelihood and gradient": (ours.both, (ours.parameters, ours.y)),
            "empty program": (empty, (large[:1],)),
        }
        calls = {name: _pipelined(each, args, sizes.pipelined) for name, (each, args) in programs.items()}
        times = in_turn(calls, sizes.seconds)
        ms = {name: median_ms(each) / sizes.pipelined for name, each in times.items()}
        moved = {name: _bytes(args) + _bytes(each(*args)) for name, (each, args) in programs.items()}
        bandwidth = moved["copy"] / ms["copy"]
        for name, (each, _) in programs.items():
            row: Result = {"work": name, "rows": count, "ms": ms[name]}
            row |= {"bytes": moved[name], "xla_bytes": _xla_bytes(each), "gb_per_s": moved[name] / ms[name] / 1e6}
            rows.append(row | {"share_of_copy": moved[name] / ms[name] / bandwidth})
        yield {"bins": sizes.bins, "rows": rows}


def training(sizes: Sizes) -> Iterator[Result]:
    """Train in float32 and bfloat16 from one seed: metrics after the same number of epochs, then plays/s in turn."""
    window = _window(sizes)
    data, held_out = learnable(sizes.plays, window, seed=0), learnable(sizes.held_out, window, seed=1)
    precision = getattr(jax.config, "jax_default_matmul_precision", None)
    result: Result = {"product_error": _product_error(), "precision": precision}
    result |= {"plays": sizes.plays, "held_out": sizes.held_out, "epochs": sizes.epochs, "frames": window}
    first, *larger = sizes.batch_sizes
    forms = {compute: _Form(sizes, compute, data, first, sizes.epochs) for compute in COMPUTE}
    losses: dict[str, dict[str, np.ndarray]] = {}
    metrics: list[Result] = []
    for compute, form in forms.items():
        config = replace(form.config.training, epochs=sizes.epochs, patience=sizes.epochs)
        started = time.perf_counter()
        fitted = fit(form.trainer, form.batch_source, None, config, on_epoch=_progress(compute, sizes.epochs))
        seconds = time.perf_counter() - started
        dist = form.network.head(form.predictor(fitted.params, held_out, 1024, (window,)))
        scores = score_outcomes(Quantized(dist), held_out.outcome)
        losses[compute] = {"nll": -scores.log_prob, "crps": scores.crps}
        row = {"compute": compute, "seconds": seconds, "first_epoch_s": fitted.history[0]["seconds"]}
        metrics.append(row | Metrics.of(scores, held_out.outcome).to_dict())
        yield result | {"metrics": metrics}
    differences = {name: _mean_and_error(losses["bfloat16"][name] - each) for name, each in losses["float32"].items()}
    result |= {"metrics": metrics, "differences": differences}
    result["speed"] = []
    for size in (first, *larger):
        if size != first:
            forms = {compute: _Form(sizes, compute, data, size, sizes.epochs) for compute in COMPUTE}
        calls = {compute: steps_call(form.trainer, form.batch_source) for compute, form in forms.items()}
        times = in_turn(calls, sizes.seconds)
        rates = {compute: 1e3 * sizes.plays / median_ms(each) for compute, each in times.items()}
        result["speed"].append({"batch_size": size, "plays_per_s": rates})
        yield result


def epochs(sizes: Sizes) -> Iterator[Result]:
    """Time a training run from plays in memory to parameters, by statistics, transfer, compilation and epochs."""
    window = _window(sizes)
    data, validation = learnable(sizes.long_plays, window, 0), learnable(sizes.long_validation, window, 1)
    started = time.perf_counter()
    size = Config().training.batch_size if sizes.long_plays >= 1000 else sizes.batch_sizes[0]
    form = _Form(sizes, "float32", data, size, sizes.long_epochs)
    padded = Arrays.of(validation, (window,))
    resident, order = to_device(padded), DeviceIndexPlan(padded, size, shuffle=False).epoch(0)
    result: Result = {"plays": sizes.long_plays, "validation": sizes.long_validation, "frames": window}
    result |= {"batch_size": size, "setup_s": time.perf_counter() - started, "target_s": TARGET_S}
    yield result | {"epochs": 0}
    config = replace(form.config.training, epochs=sizes.long_epochs, patience=sizes.long_epochs)
    fitted = fit(
        form.trainer,
        form.batch_source,
        lambda params: float(form.trainer.evaluate(params, resident, order)),
        config,
        on_epoch=_progress("long run", sizes.long_epochs),
    )
    total = time.perf_counter() - started
    seconds = [row["seconds"] for row in fitted.history]
    rest = float(np.median(seconds[1:] or seconds))
    result |= {"epochs": len(seconds), "seconds": total, "epoch_s": seconds, "history": fitted.history}
    yield result | {"plays_per_s": sizes.long_plays / rest}


def members(sizes: Sizes) -> Iterator[Result]:
    """Time a sweep as one program and as members in sequence, alternating, without compilation."""
    window, steps = _window(sizes), sizes.member_steps
    configs = [replace(config, network=sizes.network) for config in sweep.configurations(sizes.members)]
    size = sizes.batch_sizes[0]
    networks, resident, orders = sweep.prepared(configs, size, steps, window)
    result: Result = {"members": sizes.members, "batch_size": size, "steps": steps, "frames": window}

    program = sweep.as_one(configs, networks, resident, orders, sizes.members)
    result["together_first_s"] = sweep.first_call(program)
    yield result
    singles = [
        sweep.in_sequence([config], [network], resident, [order])
        for config, network, order in zip(configs, networks, orders, strict=True)
    ]
    result["single_first_s"] = sweep.first_call(singles[0])
    started = time.perf_counter()
    with ThreadPoolExecutor(min(16, provenance.cores())) as pool:  # XLA compiles in threads
        list(pool.map(sweep.first_call, singles[1:]))
    result["others_first_s"] = time.perf_counter() - started
    yield result

    calls = {"one after another": lambda: [call() for call in singles], "one program": program}
    times = in_turn(calls, sizes.seconds)
    result["rows"] = [
        {"way": way, "ms": median_ms(each) / steps, "plays_per_s": 1e3 * sizes.members * size * steps / median_ms(each)}
        for way, each in times.items()
    ]
    result["ratio"] = result["rows"][0]["ms"] / result["rows"][1]["ms"]
    yield result


def scoring(sizes: Sizes) -> Iterator[Result]:
    """Measure live scoring: latency, export, `load`, and differences of exported numbers from those of this process."""
    platform = "cuda" if jax.default_backend() == "gpu" else "cpu"
    random = np.random.default_rng(0)
    frames = random.standard_normal((sizes.frames, PLAYERS, PLAYER_FEATURES), np.float32)
    static = random.standard_normal(len(STATIC_FEATURES), np.float32)
    static[8:] = 0.0  # every feature of the situation is known
    static[[STATIC_FEATURES.index(name) for name in ("distance", "yards_to_goal")]] = 10.0, 40.0
    run = live.run_for(Config(network=sizes.network))
    programs = programs_of(run)
    own, many = live.scorer_of(programs), live.scorer_of(programs, sizes.rows_together)
    numbers = {"this process": push(own, frames, static)}
    result: Result = {"platform": platform, "frames": sizes.frames, "rows_together": sizes.rows_together}
    result["latency"] = [_latency("in process, one play", own, frames, static, sizes.calls)]
    result["latency"].append(_latency("in process, concurrent plays", many, frames, static, sizes.calls))
    yield result

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "exported"
        started = time.perf_counter()
        export(run, folder, (1, sizes.rows_together), tuple(dict.fromkeys(("cpu", platform))))
        result["export_s"] = time.perf_counter() - started
        started = time.perf_counter()
        loaded = load(folder)
        result["load_s"] = time.perf_counter() - started
        numbers["exported"] = push(loaded, frames, static)
        result["latency"].append(_latency("exported, one play", loaded, frames, static, sizes.calls))
        result["differences"] = _differences(numbers)
        yield result

        result["fresh"] = []
        for backend in dict.fromkeys((platform, "cpu")):
            platforms = "cuda,cpu" if backend == "cuda" else "cpu"
            seconds, times, outputs = live.fresh_process(folder, frames, static, platforms)
            numbers[f"fresh process on {backend}"] = np.asarray(outputs)
            seconds |= {"first_frame_ms": times[0], "median_frame_ms": float(np.median(times))}
            result["fresh"].append({"platform": backend} | seconds)
            result["differences"] = _differences(numbers)
            yield result


def tests(sizes: Sizes) -> Iterator[Result]:
    """Run the fast tests of distributions, models and training on this device until time runs out."""
    missing = [name for name in _TEST_PACKAGES if importlib.util.find_spec(name) is None]
    result: Result = {"tests": list(sizes.tests), "missing": missing}
    yield result
    if "pytest" in missing:
        raise InputError("pytest is not installed here")
    workers = 0 if "xdist" in missing or provenance.cores() < 4 else min(8, provenance.cores() // 2)
    words = [sys.executable, "-m", "pytest", *sizes.tests, "-m", "not slow", "-q", "-p", "no:cacheprovider"]
    words += ["-p", "tests.outcomes", "--continue-on-collection-errors", "--tb=short"]
    words += ["-n", str(workers), "--dist", "loadfile"] if workers else []
    with tempfile.TemporaryDirectory() as name:
        reports, log = Path(name) / "reports.jsonl", Path(name) / "log"
        environment = os.environ | {"SBP_TEST_REPORTS": str(reports)}
        started = time.perf_counter()
        with log.open("wb") as out:
            process = subprocess.Popen(words, cwd=_ROOT, env=environment, stdout=out, stderr=subprocess.STDOUT)
            try:
                while process.poll() is None:
                    time.sleep(0.2 if sizes.seconds == 0 else 2.0)
                    yield result | read_reports(reports) | {"ended": False, "seconds": time.perf_counter() - started}
            finally:
                process.kill()
                process.wait()
        counted = read_reports(reports)
        result |= counted | {"ended": True, "seconds": time.perf_counter() - started, "exit_code": process.returncode}
        yield result
        if not counted["counts"]:
            lines = log.read_text(errors="replace").strip().splitlines()
            raise InputError(f"pytest ran no test: {lines[-1] if lines else 'no output'}")


PARTS: dict[str, Callable[[Sizes], Iterator[Result]]] = {
    "likelihood": likelihood,
    "training": training,
    "epochs": epochs,
    "sweep": members,
    "live": scoring,
    "tests": tests,
}


def learnable(count: int, frames: int, seed: int) -> Plays:
    """Draw plays whose outcomes depend on a static feature and on the final positions of the players.

    The noise is Student's t with three degrees of freedom and scale 4 yards; reflection leaves the outcome unchanged.
    """
    plays = synthetic(np.full(count, frames))
    random = np.random.default_rng([7, seed])
    values = random.standard_normal((count * frames, PLAYERS, PLAYER_FEATURES), np.float32)
    static = random.standard_normal((count, NUM_STATIC), np.float32)
    forward = values.reshape(count, frames, PLAYERS, PLAYER_FEATURES)[:, -1, :, 0].sum(axis=1) / np.sqrt(PLAYERS)
    latent = 5 + 4 * static[:, 0] + 3 * forward + 4 * random.standard_t(3, count)
    outcomes = np.clip(np.round(latent), -40, 99).astype(np.float32)
    return replace(plays, frames=values, static=static, outcome=outcomes)


def push(scorer: LiveScorer, frames: np.ndarray, static: np.ndarray) -> np.ndarray:
    """Return quantiles and expected outcome after each frame of a play, [T, 6]."""
    scorer.reset(static)
    summaries = [scorer.push(frame) for frame in frames]
    return np.array([[*summary.quantiles.values(), summary.expected] for summary in summaries])


def read_reports(path: Path) -> Result:
    """Return counts by outcome, failed tests and failed imports from the reports that `tests/outcomes.py` writes."""
    last: dict[str, Result] = {}
    if path.is_file():
        for line in path.read_text(encoding="utf-8").splitlines():
            if line.endswith("}"):  # the last line may be half written
                report = json.loads(line)
                if last.get(report["test"], {}).get("outcome") not in ("failed", "error"):
                    last[report["test"]] = report
    outcomes = [report["outcome"] for report in last.values()]
    return {
        "counts": {outcome: outcomes.count(outcome) for outcome in sorted(set(outcomes))},
        "failed": [report for report in last.values() if report["outcome"] in ("failed", "error")],
    }


class _Form:
    """A training run in one number format: network, plays on the device and compiled functions."""

    def __init__(self, sizes: Sizes, compute: Any, data: Plays, batch_size: int, epochs: int) -> None:
        base = with_objective(Config(), "interval")
        self.config = replace(base, network=replace(sizes.network, compute=compute))
        self.network = network_of(self.config, data)
        window = int(data.lengths.max())
        self.batch_source = ResidentBatchSource(Arrays.of(data, (window,)), batch_size, mirror=mirror_of(data))
        settings = Hyperparameters.of(self.config, epochs * len(self.batch_source.sampler))
        loss, validation = make_loss(base), make_validation_loss(base.training, integer=True)
        self.predictor = Predictor(self.network)
        self.trainer = Trainer(self.predictor, self.network.head, loss, settings, validation)


def _window(sizes: Sizes) -> int:
    return receptive_field(sizes.network.layers, sizes.network.kernel_size)


def _progress(what: str, total: int) -> Callable[[list[Any]], None]:
    def on_epoch(history: list[Any]) -> None:
        row = history[-1]
        print(f"  {what}: epoch {row['epoch']} of {total}, {row['seconds']:.2f} s", file=sys.stderr, flush=True)

    return on_epoch


def _pipelined(program: Any, arguments: Sequence[Any], count: int) -> Callable[[], Any]:
    """A call that dispatches a compiled program `count` times and returns the last result."""

    def call() -> Any:
        result = None
        for _ in range(count):
            result = program(*arguments)
        return result

    return call


def _bytes(tree: Any) -> int:
    return sum(leaf.nbytes for leaf in jax.tree.leaves(tree))


def _xla_bytes(program: Any) -> float | None:
    """Bytes accessed by XLA's cost analysis of a compiled program; None where the backend has none."""
    try:
        analysis: Any = program.cost_analysis()
    except (NotImplementedError, RuntimeError):
        return None
    first = analysis[0] if isinstance(analysis, list) and analysis else analysis
    return float(first["bytes accessed"]) if isinstance(first, dict) and "bytes accessed" in first else None


def _product_error() -> float:
    """Largest relative error of a float32 matrix product in JAX's default precision: 1e-3 with TF32, 1e-6 without."""
    a, b = np.random.default_rng(0).standard_normal((2, 256, 256)).astype(np.float32)
    exact = a.astype(np.float64) @ b.astype(np.float64)
    return float(np.max(np.abs(np.asarray(jnp.matmul(a, b)) - exact)) / np.max(np.abs(exact)))


def _mean_and_error(values: np.ndarray) -> Result:
    return {"mean": float(values.mean()), "standard_error": float(values.std(ddof=1) / np.sqrt(len(values)))}


def _latency(what: str, scorer: LiveScorer, frames: np.ndarray, static: np.ndarray, calls: int) -> Result:
    times: list[float] = []
    while len(times) < calls:
        for row in range(scorer.batch):
            scorer.reset(static, row)
        for frame in frames:
            each = dict.fromkeys(range(scorer.batch), frame)
            before = time.perf_counter()
            scorer.push_many(each)
            times.append(1e3 * (time.perf_counter() - before))
    ms = {"median_ms": float(np.median(times)), "p99_ms": float(np.percentile(times, 99))}
    return {"work": what, "plays": scorer.batch, "frames_per_s": 1e3 * scorer.batch / ms["median_ms"]} | ms


def _differences(numbers: dict[str, np.ndarray]) -> list[Result]:
    base = numbers["this process"]
    gaps = {name: float(np.max(np.abs(each - base))) for name, each in numbers.items() if each is not base}
    return [{"scorer": name, "largest_yards": gap} for name, gap in gaps.items()]
