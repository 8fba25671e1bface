"""Speed and padding of batches from plays in memory, mapped arrays and records; synthetic plays of 15 to 60 frames."""

import importlib.util
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from experiments.benchmarks.timing import by_setting, one_core
from sbp_jax.config import Config
from sbp_jax.data.batches.arrays import ArrayBatches, Arrays
from sbp_jax.data.batches.batching import Batches
from sbp_jax.data.batches.buckets import choose_buckets
from sbp_jax.data.batches.epochs import BatchSampler, Epochs
from sbp_jax.data.batches.fields import Batch
from sbp_jax.data.batches.symmetry import mirror_of
from sbp_jax.data.plays import PLAYER_FEATURES, PLAYERS, Plays
from sbp_jax.data.prepared.storage import open_folder, save
from sbp_jax.models import Network
from sbp_jax.reporting.tables import markdown, records_table
from sbp_jax.training.build import make_head, make_network, set_statistics

PARTS = ("speed", "start", "waste", "records")
TITLE = "Speed and waste of batches"
PLAYS, RECORDS = 16384, 2048
BATCH_SIZE = 256
TARGET_PLAYS_PER_S = 50_000
NUM_STATIC = 16  # as the features of plays

SPEED_TABLE = """
source | empty slots | allocator | plays/s | plays/s of processor time | first epoch | GB/s
{source} | {empty_slots:.0%} | {allocator} | {plays_per_s:,.0f} | {processor:,.0f} | {first:,.0f} | {gb_per_s:.1f}
"""
START_TABLE = """
work | plays | GB | seconds | processor seconds
{work} | {plays:,} | {gb:.2f} | {seconds:.2f} | {processor_seconds:.2f}
"""
RECORDS_TABLE = "source | plays/s\n{source} | {plays_per_s:,.0f}"


def lengths(count: int) -> np.ndarray:
    """Draw numbers of frames of synthetic plays, int64 `[count]`: log-normal around 37, from 15 to 60."""
    drawn = np.exp(np.random.default_rng(0).normal(3.6, 0.3, count))
    return np.clip(np.round(drawn), 15, 60).astype(np.int64)


def synthetic(frames: np.ndarray, empty: float = 0.0) -> Plays:
    """Draw plays of noise with these numbers of frames.

    `empty` is the share of slots without a player, the same slots in all frames of a play.
    """
    random, count = np.random.default_rng(1), len(frames)
    offsets = np.concatenate([[0], np.cumsum(frames)]).astype(np.int64)
    present = np.repeat(random.random((count, PLAYERS)) >= empty, frames, axis=0)
    values = random.standard_normal((int(offsets[-1]), PLAYERS, PLAYER_FEATURES), np.float32)
    values[~present] = 0.0
    ids = np.arange(count, dtype=np.int64)
    return Plays(
        frames=values,
        offsets=offsets,
        present=present,
        static=random.standard_normal((count, NUM_STATIC), np.float32),
        outcome=np.round(random.standard_normal(count, np.float32) * 10),
        game_id=ids // 100,
        play_id=ids,
        passer_id=ids % 32,
        passer=np.array([f"Passer {i % 32}" for i in range(count)]),
    )


def network_of(config: Config, plays: Plays, num_static: int = NUM_STATIC) -> Network:
    """Return an initialized network with the statistics of the plays."""
    head = make_head(config.head)
    network = make_network(config, head, num_static)
    set_statistics(network, plays, head.init_from_data(plays.outcome))
    return network


def speed(seconds: float) -> list[dict[str, Any]]:
    """Measure plays per second on one core over complete epochs in turn, by wall clock and by processor time.

    The first epoch after opening is reported separately. The bound is a copy of the arrays in their own order, in turn.
    """
    with one_core():
        return [row for empty in (0.0, 0.3) for row in _speed(seconds, empty)]


def start(seconds: float) -> list[dict[str, Any]]:
    """Measure seconds to write plays, open them with checksums, make `Plays` of them, and move them to the device."""
    from sbp_jax.training.resident import to_device

    plays = synthetic(lengths(PLAYS), 0.0)
    rows = []

    def timed(work: str, call: Callable[[], Any]) -> Any:
        wall, processor = time.perf_counter(), time.process_time()
        result = call()
        row = {"work": work, "plays": PLAYS, "seconds": time.perf_counter() - wall}
        rows.append(row | {"processor_seconds": time.process_time() - processor})
        return result

    with tempfile.TemporaryDirectory() as folder:
        arrays = timed("pad in memory", lambda: Arrays.of(plays))
        timed("write and force to the disk", lambda: save({"train": arrays}, Path(folder) / "a"))
        mapped = timed("open, sizes and checksums compared", lambda: open_folder(Path(folder) / "a", "train"))
        timed("Plays of the mapped arrays", mapped.plays)
        timed("put the split on the device", lambda: to_device(mapped))
    return [row | {"gb": arrays.nbytes / 1e9} for row in rows]


def waste(seconds: float) -> list[dict[str, Any]]:
    """Measure the share of an epoch's frames that is padding, for chosen buckets and for those of equal steps."""
    frames = lengths(PLAYS)
    rows = []
    for count in range(1, 9):
        chosen = choose_buckets(frames, count, BATCH_SIZE)
        equal = tuple(int(b) for b in np.unique(np.ceil(np.linspace(0, frames.max(), count + 1)[1:])))
        wastes = [BatchSampler(frames, BATCH_SIZE, buckets).waste() for buckets in (chosen, equal)]
        rows.append({"buckets": chosen, "waste": wastes[0], "equal_steps": wastes[1]})
    return rows


def records(seconds: float) -> list[dict[str, Any]] | None:
    """Measure plays per second from records in order, by random batch, and by Grain; None without the readers."""
    if any(importlib.util.find_spec(name) is None for name in ("tensorflow_datasets", "polars")):
        return None
    from sbp_jax.data.prepared.dataset import load
    from sbp_jax.data.prepared.records import RecordSource

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "set"
        _write_records(synthetic(lengths(RECORDS), 0.0), folder)
        source = RecordSource(folder, "train", ("frames", "present", "static", "outcome"))
        order = BatchSampler(lengths(RECORDS), BATCH_SIZE)

        def at_random() -> None:
            for _, indices in order.plan(0):
                source.read(indices.tolist())

        calls: dict[str, Callable[[], Any]] = {"all in order, as Plays": lambda: load(folder, "train")}
        calls["array_record by batch, no batches made"] = at_random
        if importlib.util.find_spec("grain") is not None:
            from sbp_jax.data.prepared.stream import StreamedBatches

            for ahead in (1, 2, 4, 8):
                streamed = StreamedBatches(folder, "train", BATCH_SIZE, ahead=ahead)
                calls[f"Grain, {ahead} ahead"] = lambda streamed=streamed: _exhaust(streamed.epoch(0))
        times = _in_turn({name: lambda _, call=call: call() for name, call in calls.items()}, seconds)
    medians = {name: statistics.median(t[0] for t in each[1:]) for name, each in times.items()}
    return [{"source": name, "plays_per_s": RECORDS / median} for name, median in medians.items()]


def report(results: dict[str, Any], out: Path) -> list[str]:
    """Return the results as Markdown paragraphs; nothing is drawn to `out`."""
    del out
    speeds = [
        row | {"first": row["first_epoch_per_s"], "processor": row["plays_per_processor_s"]}
        for row in by_setting(results["speed"])
    ]
    waste = [
        [len(row["buckets"]), ", ".join(map(str, row["buckets"])), f"{row['waste']:.1%}", f"{row['equal_steps']:.1%}"]
        for row in results["waste"]
    ]
    return [
        f"Synthetic plays of 15 to 60 frames (mean {lengths(PLAYS).mean():.0f}) by 176 float32, in batches of "
        f"{BATCH_SIZE}.",
        f"## Plays per second\n\n{PLAYS:,} plays in the page cache, one core, medians of complete epochs in turn; the "
        f"target is {TARGET_PLAYS_PER_S:,}. Where other work shares the core, processor time is the relevant measure. "
        "Mirrored: half of the plays are reflected. Kept: glibc keeps freed memory, in large pages. The copy reads the "
        "mapped arrays in their own order, batch by batch, into new memory.",
        records_table(SPEED_TABLE, speeds),
        "## Set-up",
        records_table(START_TABLE, results["start"]),
        f"## Padding\n\nShare of an epoch's frames in batches of {BATCH_SIZE}, including padding of the last batch.",
        markdown(["buckets", "chosen lengths", "waste", "waste of equal steps"], waste),
        "## From records",
        "Not measured: TFDS or polars is not installed."
        if results["records"] is None
        else f"{RECORDS:,} plays, all cores.\n\n{records_table(RECORDS_TABLE, results['records'])}",
    ]


def _speed(seconds: float, empty: float) -> list[dict[str, Any]]:
    rows = []
    plays = synthetic(lengths(PLAYS), empty)
    with tempfile.TemporaryDirectory() as folder:
        save({"train": Arrays.of(plays, choose_buckets(plays.lengths, batch_size=BATCH_SIZE))}, Path(folder) / "a")
        arrays = open_folder(Path(folder) / "a", "train")
        mirror = mirror_of(plays)
        sources: dict[str, Epochs] = {
            "mapped arrays": ArrayBatches(arrays, BATCH_SIZE),
            "mapped arrays, mirrored": ArrayBatches(arrays, BATCH_SIZE, mirror=mirror),
            "plays in memory": Batches(plays, BATCH_SIZE, arrays.buckets),
            "plays in memory, mirrored": Batches(plays, BATCH_SIZE, arrays.buckets, mirror=mirror),
        }
        calls: dict[str, Callable[[int], Any]] = {
            name: lambda number, source=source: _exhaust(source.epoch(number)) for name, source in sources.items()
        }
        calls["copy of the arrays"] = _copies(arrays)
        for name, times in _in_turn(calls, seconds).items():
            wall, processor = (statistics.median(t[k] for t in times[1:]) for k in (0, 1))
            row = {"source": name, "empty_slots": empty, "plays_per_s": PLAYS / wall}
            row |= {"plays_per_processor_s": PLAYS / processor, "first_epoch_per_s": PLAYS / times[0][0]}
            rows.append(row | {"gb_per_s": arrays.nbytes / wall / 1e9, "epochs": len(times)})
    return rows


def _exhaust(batches: Iterator[Batch]) -> None:
    for _ in batches:
        pass


def _copies(arrays: Arrays) -> Callable[[int], Any]:
    """Copies of batches of neighboring plays to new memory: the bound of a split without shuffling."""
    places = [(x, begin) for x in arrays.x for begin in range(0, len(x), BATCH_SIZE)]

    def copy(_: int) -> None:
        for x, begin in places:
            x[begin : begin + BATCH_SIZE].copy()

    return copy


def _in_turn(calls: dict[str, Callable[[int], Any]], seconds: float) -> dict[str, list[tuple[float, float]]]:
    """Wall and processor seconds of each call, in turn; the first turn has cold caches."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in calls}
    started, turn = time.perf_counter(), 0
    while turn < 4 or time.perf_counter() - started < seconds:
        for name, call in calls.items():
            wall, processor = time.perf_counter(), time.process_time()
            call(turn)
            times[name].append((time.perf_counter() - wall, time.process_time() - processor))
        turn += 1
    return times


def _write_records(plays: Plays, folder: Path) -> None:
    """Write plays in memory as a prepared data set with a training split only."""
    from sbp_jax.data.plays import INFO_TYPES
    from sbp_jax.data.prepared.build import report_of
    from sbp_jax.data.prepared.dataset import RECIPE
    from sbp_jax.data.prepared.quality import Distributions
    from sbp_jax.data.prepared.records import save_chunk, write_records
    from sbp_jax.data.prepared.splits import SPLITS
    from sbp_jax.data.readers.report import ReadReport

    folder.mkdir()
    info = {name: np.zeros(len(plays), kind) for name, kind in INFO_TYPES.items()}
    chunk = save_chunk(Plays(**{**vars(plays), "info": info}), folder / "chunk")
    games = {"train": np.unique(plays.game_id).tolist()}
    write_records([chunk], games, folder)
    sizes = {"games": games["train"], "plays": len(plays), "frames": int(plays.offsets[-1])}
    splits = {split: sizes if split == "train" else {"games": [], "plays": 0, "frames": 0} for split in SPLITS}
    report = report_of(ReadReport(), Distributions(), splits)
    report |= {"prepared_from": {"recipe": RECIPE, "synthetic": len(plays)}}
    (folder / "report.json").write_text(json.dumps(report), encoding="utf-8")
