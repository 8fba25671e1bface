"""Latency of live scoring on one core: a frame, complete and concurrent plays, and the reference's traced network."""

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jax
import numpy as np

from experiments.benchmarks.batches import network_of, synthetic
from experiments.benchmarks.reference_network import live_call
from experiments.benchmarks.timing import by_setting, one_core
from experiments.benchmarks.training import BINS, SAME
from sbp_jax.config import Config, HeadConfig
from sbp_jax.data.plays import PLAYER_FEATURES, PLAYERS, STATIC_FEATURES
from sbp_jax.distributions import Quantized
from sbp_jax.errors import InputError
from sbp_jax.evaluation.conformance.reference import Reference
from sbp_jax.live import LiveScorer
from sbp_jax.live.programs import Programs, programs_of
from sbp_jax.reporting.style import figure
from sbp_jax.reporting.tables import markdown, records_table
from sbp_jax.training import Predictor
from sbp_jax.training.outcome import Outcome

Rows = Sequence[Mapping[str, Any]]
PARTS = ("calls", "cold", "season")
TITLE = "Latency of live scoring"
LENGTHS = (25, 40, 64)
TOGETHER = 32
CALLS, TURN = 2000, 50
SEASON = 20_000
DEFAULT, TRACED = "default network", "reference, traced"
FORMS = {DEFAULT: Config(), "reference network": Config(network=SAME, head=HeadConfig(bins=BINS))}
# work -> target median and 99th percentile, ms
TARGETS = {"frame": (0.1, None), **{f"play of {n}": (0.5, 1.0) for n in LENGTHS}}
COLD_TABLE = """
import, s | load, s | first frame, ms | third frame, ms | complete process, s
{import_s:.2f} | {load_s:.2f} | {first_frame_ms:.2f} | {third_frame_ms:.2f} | {process_s:.2f}
"""


def run_for(config: Config) -> Any:
    """Return the parts of a run that scoring needs: an initialized network whose predictions differ between plays."""
    network = network_of(config, synthetic(np.full(200, 20)), len(STATIC_FEATURES))
    kernel = network.last.kernel[...]
    network.last.kernel.set_value(0.05 * jax.random.normal(jax.random.key(0), kernel.shape, kernel.dtype))
    outcome = Outcome.of(config.data, integer=True)
    return SimpleNamespace(path=Path("none"), config=config, model=network, outcome=outcome, step=0, fingerprint="none")


def scorer_of(programs: Programs, batch: int = 1) -> LiveScorer:
    """Return a scorer of programs in memory."""
    bound = {name: partial(call, programs.weights) for name, call in programs.functions.items()}
    return LiveScorer(bound, programs.spec, batch)


def calls(seconds: float) -> list[dict[str, Any]]:
    """Time 2,000 calls of each work and form in turn on one core; one row has median and 99th percentile in ms."""
    del seconds  # the number of calls is fixed
    with one_core():
        random = np.random.default_rng(0)
        frames = random.standard_normal((max(LENGTHS), PLAYERS, PLAYER_FEATURES), np.float32)
        static = random.standard_normal(len(STATIC_FEATURES), np.float32)
        works: dict[tuple[str, str], Callable[[], Any]] = {}
        for form, config in FORMS.items():
            programs = programs_of(run_for(config))
            scorer, many = scorer_of(programs), scorer_of(programs, TOGETHER)
            scorer.reset(static)
            for row in range(TOGETHER):
                many.reset(static, row)
            works["frame", form] = partial(scorer.push, frames[0])
            works["frame, network alone", form] = _network_step(programs)
            for count in LENGTHS:
                works[f"play of {count}", form] = partial(scorer.score_play, frames[:count], static, 7)
            together = dict.fromkeys(range(TOGETHER), frames[0])
            works[f"frame of {TOGETHER} plays", form] = partial(many.push_many, together)
        reference = Reference.load()
        if reference is not None:
            for kind in (TRACED, "reference, eager"):
                for count in LENGTHS:
                    works[f"play of {count}", kind] = live_call(reference, frames[None, :count], kind == TRACED)
                batch = np.repeat(frames[None, : LENGTHS[1]], TOGETHER, axis=0)
                works[f"frame of {TOGETHER} plays", kind] = live_call(reference, batch, kind == TRACED)
                # it has no state: a frame costs a pass over the play so far
                works["frame", kind] = works[f"play of {LENGTHS[1]}", kind]
        times = _in_turn(works)
    return [
        {"work": work, "form": form, "median_ms": float(np.median(t)), "p99_ms": float(np.percentile(t, 99))}
        for (work, form), t in times.items()
    ]


def cold(seconds: float) -> list[dict[str, Any]] | None:
    """Time a fresh process from an exported folder to its first summary; None where export is unavailable."""
    del seconds
    if importlib.util.find_spec("flatbuffers") is None:
        return None
    from sbp_jax.live.export import export

    with tempfile.TemporaryDirectory() as name:
        platform = "cuda" if jax.default_backend() == "gpu" else "cpu"
        export(run_for(FORMS[DEFAULT]), Path(name) / "exported", batches=(1,), platforms=(platform,))
        frames, rows = np.ones((3, PLAYERS, PLAYER_FEATURES), np.float32), []
        for _ in range(3):
            row, times, _ = fresh_process(Path(name) / "exported", frames, np.zeros(0, np.float32))
            rows.append(row | {"first_frame_ms": times[0], "third_frame_ms": times[2]})
    return rows


def fresh_process(
    folder: Path, frames: np.ndarray, static: np.ndarray, platforms: str | None = None
) -> tuple[dict[str, float], list[float], list[list[float]]]:
    """Score a play in a process that has only jax, NumPy and an exported folder.

    Args:
        folder: folder written by `export`.
        frames, static: frames and static features of the play.
        platforms: JAX platforms in order of preference; by default those of this process.

    Returns:
        seconds of the import, of the load with compilation and of the process; milliseconds of each frame; the
        quantiles and the expectation after each frame.
    """
    from sbp_jax.live.export import PACKAGE

    play = folder.parent / "play.npz"
    np.savez(play, frames=frames, static=static)
    environment = os.environ | ({} if platforms is None else {"JAX_PLATFORMS": platforms})
    words = [sys.executable, "-c", _FRESH.format(package=PACKAGE), str(folder), str(play)]
    started = time.perf_counter()
    done = subprocess.run(words, env=environment, cwd=folder.parent, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        raise InputError(f"the exported scorer failed in a fresh process: {lines[-1] if lines else done.returncode}")
    seconds, times, numbers = json.loads(done.stdout)
    return seconds | {"process_s": time.perf_counter() - started}, times, numbers


_FRESH = """
import json, sys, time
begin = time.perf_counter()
sys.path.insert(0, sys.argv[1])
import numpy as np
from {package} import load
imported = time.perf_counter()
scorer = load(sys.argv[1])
loaded = time.perf_counter()
play = np.load(sys.argv[2])
scorer.reset(play["static"])
numbers, times = [], []
for frame in play["frames"]:
    before = time.perf_counter()
    summary = scorer.push(frame)
    times.append(1e3 * (time.perf_counter() - before))
    numbers.append([*summary.quantiles.values(), summary.expected])
print(json.dumps([dict(import_s=imported - begin, load_s=loaded - imported), times, numbers]))
"""


def season(seconds: float) -> dict[str, Any]:
    """Time three passes of scoring a season's plays in batches on all cores; the first includes compilation."""
    del seconds
    from sbp_jax.scoring.play import normal_score

    network = run_for(FORMS[DEFAULT]).model
    lengths = np.clip(np.round(np.exp(np.random.default_rng(0).normal(3.3, 0.3, SEASON))), 10, 64).astype(np.int64)
    plays = synthetic(lengths)
    static = np.random.default_rng(2).standard_normal((len(plays), len(STATIC_FEATURES)), np.float32)
    plays = replace(plays, static=static)
    predictor, times = Predictor(network), []
    for _ in range(3):
        before = time.perf_counter()
        seen = plays.last(network.receptive_field)
        dist = network.head(predictor(predictor.params, seen, 256, ()))
        jax.block_until_ready(normal_score(Quantized(dist), plays.outcome))
        times.append(time.perf_counter() - before)
    return {"plays": SEASON, "frames": int(plays.offsets[-1]), "seconds": times}


def report(results: dict[str, Any], out: Path) -> list[str]:
    """Return the results as Markdown paragraphs, and draw the latencies."""
    _figure(results["calls"]["default"], out / "live.png")
    cores = os.cpu_count()
    return [
        "Ours is `LiveScorer`: checked input, network, distribution, five quantiles, expectation and three "
        f"probabilities of a frame; of a complete play also its score. {CALLS:,} calls of each, all forms in turn in "
        f"one process pinned to one core{f' of {cores}' if cores else ''}; milliseconds, median / 99th percentile. The "
        "reference is the published distribution after a TCN of 4 layers, 64 channels and kernel 3, with three "
        "quantiles; `traced` is `torch.jit.trace` of the network. It has no state, so a frame costs a pass over the "
        f"play so far, here {LENGTHS[1]} frames. Our default network also has attention over the players and an MLP; "
        "`reference network` is our implementation at the reference's sizes.",
        _calls_table(by_setting(results["calls"])),
        "![Latencies](live.png)",
        "## Cold start\n\nA fresh process with an exported folder, three times: import, load with compilation, frames.",
        "Not measured: flatbuffers is not installed."
        if results["cold"] is None
        else records_table(COLD_TABLE, results["cold"]),
        f"## A season\n\n{_season_text(results['season'])}",
    ]


def _network_step(programs: Programs) -> Callable[[], Any]:
    """One step of the network to its raw outputs, compiled separately, with its stream donated."""
    scorer = scorer_of(programs)
    arguments = scorer._x, scorer._present, scorer._static, scorer._marks, np.ones(1, bool)

    def raw(stream: Any, *arguments: Any) -> Any:
        stream, _, raw = programs.functions["frame"](programs.weights, stream, *arguments)
        return stream, raw

    step, stream = jax.jit(raw, donate_argnums=0), programs.functions["start"](programs.weights, 1)

    def call() -> np.ndarray:
        nonlocal stream
        stream, outputs = step(stream, *arguments)
        return np.asarray(outputs)

    return call


def _in_turn(works: dict[tuple[str, str], Callable[[], Any]]) -> dict[tuple[str, str], np.ndarray]:
    """Milliseconds of `CALLS` calls of each, in turns of `TURN`, after one warm-up turn."""
    times: dict[tuple[str, str], list[float]] = {name: [] for name in works}
    for turn in range(1 + CALLS // TURN):
        for name, call in works.items():
            for _ in range(TURN):
                before = time.perf_counter()
                call()
                spent = time.perf_counter() - before
                if turn:
                    times[name].append(1e3 * spent)
    return {name: np.asarray(each) for name, each in times.items()}


def _calls_table(rows: Rows) -> str:
    """Median / 99th percentile in ms by work and form, target, and ratio of the traced reference to the default."""
    forms = list(dict.fromkeys(row["form"] for row in rows))
    grouped: dict[tuple[str, str], dict[str, Any]] = {}
    for row in rows:
        grouped.setdefault((row["work"], row["allocator"]), {})[row["form"]] = row
    cells = []
    for (work, setting), own in grouped.items():
        times = [f"{own[form]['median_ms']:.3f} / {own[form]['p99_ms']:.3f}" if form in own else "" for form in forms]
        target = " / ".join(f"{each:g}" for each in TARGETS.get(work, ()) if each is not None)
        traced, ours = own.get(TRACED), own.get(DEFAULT)
        ratio = "" if traced is None or ours is None else f"{traced['median_ms'] / ours['median_ms']:.1f}"
        cells.append([work, setting, *times, target, ratio])
    return markdown(["work", "allocator", *forms, "target", "traced reference / default"], cells)


def _season_text(result: Mapping[str, Any]) -> str:
    """A sentence on the seconds of a season's scores."""
    first, *others = result["seconds"]
    mean = result["frames"] / result["plays"]
    return (
        f"Scores of {result['plays']:,} plays with {mean:.0f} frames on average, in batches of 256 on all cores: "
        f"{first:.1f} seconds with compilation, then {' and '.join(f'{each:.1f}' for each in others)}; target: 10."
    )


def _figure(rows: Rows, path: Path) -> None:
    """Draw the median latency and 99th percentile by work and form on a logarithmic axis."""
    works = list(dict.fromkeys(row["work"] for row in rows))
    forms = list(dict.fromkeys(row["form"] for row in rows))
    colors = ["#0072B2", "#56B4E9", "#D55E00", "#E69F00"]
    with figure(path, 7.5, 0.45 * len(works) + 1.6) as fig:
        axes = fig.subplots()
        for i, form in enumerate(forms):
            own = {row["work"]: row for row in rows if row["form"] == form}
            place = [works.index(work) + 0.17 * (i - (len(forms) - 1) / 2) for work in own]
            median = [row["median_ms"] for row in own.values()]
            beyond = [row["p99_ms"] - row["median_ms"] for row in own.values()]
            axes.errorbar(
                median, place, xerr=[[0] * len(beyond), beyond], fmt="o", ms=4, color=colors[i % 4], label=form
            )
        axes.set(xscale="log", xlabel="latency, ms (point: median; bar: to the 99th percentile)")
        axes.set_yticks(range(len(works)), works)
        axes.invert_yaxis()
        axes.grid(axis="x", alpha=0.3)
        axes.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False)
