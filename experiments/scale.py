"""How reading scales with the number of plays: python -m experiments.scale [--plays 5000 10000 20000]."""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import polars as pl
from tqdm import tqdm

from sbp_jax.cli.flags import parse, run
from sbp_jax.data.simulator.simulate import SimulationConfig, simulate
from sbp_jax.errors import InputError
from sbp_jax.reporting.style import COLORS, figure
from sbp_jax.reporting.tables import records_table
from sbp_jax.runs import provenance

TABLE = """
plays | kept | files, GiB | simulate, s | prepare, s | plays/s | peak memory, GiB
{plays:,} | {kept:,} | {files_gib:.2f} | {simulate_s:.0f} | {prepare_s:.0f} | {plays_per_s:.0f} | {peak_gib:.2f}
"""
# prepares in a separate process, which then prints its peak memory
_PREPARE = """
import json, resource, sys
from pathlib import Path
from sbp_jax.data.prepared.build import PrepareConfig, prepare
source, out = sys.argv[1:]
prepare(source, out, PrepareConfig(malformed="drop"))
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss + resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
print(json.dumps({"peak_kib": peak}))
"""


@dataclass(frozen=True)
class Options:
    """Simulate plays as files, prepare them, and report time and peak memory.

    Attributes:
        plays: numbers of plays to measure.
        format: format of the simulated tracking files.
        seed: seed of the simulation.
        out: folder for table and figure.
    """

    plays: tuple[int, ...] = (5000, 10000, 20000, 50000)
    format: Literal["csv", "parquet"] = "csv"
    seed: int = 0
    out: Path = Path("experiments/results/scale")


def measure(plays: int, options: Options) -> dict[str, float]:
    """Measure seconds to simulate and to prepare, peak memory of preparation and file size (GiB), and plays kept."""
    with tempfile.TemporaryDirectory(prefix="scale-") as folder:
        source, out = Path(folder) / "plays", Path(folder) / "set"
        before = time.perf_counter()
        simulate(source, SimulationConfig(plays=plays, seed=options.seed, tracking_format=options.format))
        simulated = time.perf_counter()
        words = [sys.executable, "-c", _PREPARE, str(source), str(out)]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        prepared = time.perf_counter()
        if done.returncode:
            raise InputError(f"preparing {plays} plays ended with exit code {done.returncode}: {done.stderr[-300:]}")
        size = sum(path.stat().st_size for path in source.rglob("*") if path.is_file())
        return {
            "plays": plays,
            "kept": json.loads((out / "report.json").read_text(encoding="utf-8"))["plays"],
            "simulate_s": simulated - before,
            "prepare_s": prepared - simulated,
            "peak_gib": json.loads(done.stdout.splitlines()[-1])["peak_kib"] / 2**20,
            "files_gib": size / 2**30,
        }


def command(words: list[str]) -> None:
    """Measure every number of plays, print the table and write it."""
    options = parse(Options, words, "python -m experiments.scale", folder="out")
    if not options.plays or min(options.plays) < 1:
        raise InputError(f"--plays: expected numbers of at least 1, got {options.plays}")
    rows = [measure(plays, options) for plays in tqdm(options.plays, desc="scale", unit=" sizes")]
    table = records_table(TABLE, [row | {"plays_per_s": row["plays"] / row["prepare_s"]} for row in rows])
    options.out.mkdir(parents=True, exist_ok=True)
    growth_figure(options.out / "scale.png", rows)
    pl.DataFrame(rows).write_csv(options.out / "scale.csv")
    title = f"From {options.format} files to the prepared data set"
    heading = provenance.heading(title, "experiments.scale", words)
    print(provenance.write_page(options.out, "scale", [heading, table, "![growth](scale.png)"]))


def growth_figure(path: Path, rows: Sequence[Mapping[str, float]]) -> None:
    """Draw seconds and peak memory against plays, with a line through the origin and the largest point.

    Args:
        path: PNG to write.
        rows: `plays`, `simulate_s`, `prepare_s` [seconds] and `peak_gib`, one row per size.
    """
    plays = [row["plays"] for row in rows]
    with figure(path, 9.0, 3.4) as drawing:
        seconds, memory = drawing.subplots(1, 2)
        for column, label, color in (("prepare_s", "prepare", "sbp"), ("simulate_s", "simulate", "marginal")):
            seconds.plot(plays, [row[column] for row in rows], "o-", color=COLORS[color], label=label)
        last = rows[-1]
        seconds.plot([0, last["plays"]], [0, last["prepare_s"]], ":", color="black", label="linear")
        seconds.set(xlabel="plays", ylabel="seconds", title="time")
        seconds.legend()
        memory.plot(plays, [row["peak_gib"] for row in rows], "o-", color=COLORS["sbp"])
        memory.set(xlabel="plays", ylabel="GiB", title="peak memory of preparation", ylim=(0, None))


if __name__ == "__main__":
    run(command, sys.argv[1:])
