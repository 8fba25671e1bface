"""How reading grows with the number of plays: python -m experiments.scale [--plays 5000 10000 20000]."""

import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import polars as pl
from tqdm import tqdm

from experiments.scale.page import growth_figure
from sbp_jax.cli.flags import parse
from sbp_jax.data.simulator.simulate import SimulationConfig, simulate
from sbp_jax.errors import InputError
from sbp_jax.reporting.tables import markdown
from sbp_jax.runs import provenance

# prepares in a process of its own, which then tells its peak memory
_PREPARE = """
import json, resource, sys
from pathlib import Path
from sbp_jax.data.prepared.build import PrepareConfig, prepare
source, out = sys.argv[1:]
prepare(source, out, PrepareConfig(malformed="reject"))
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss + resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
print(json.dumps({"peak_kib": peak}))
"""


@dataclass(frozen=True)
class Options:
    """Simulate plays as files, prepare them, and tell time and peak memory of both.

    Attributes:
        plays: numbers of plays to measure.
        format: of the simulated tracking files.
        seed: of the simulation.
        out: folder for table and figure.
    """

    plays: tuple[int, ...] = (5000, 10000, 20000, 50000)
    format: Literal["csv", "parquet"] = "csv"
    seed: int = 0
    out: Path = Path("experiments/results/scale")


def measure(plays: int, options: Options) -> dict[str, float]:
    """Seconds to simulate and to prepare, peak memory of preparing (GiB), bytes of the files, plays kept."""
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
            "kept": json.loads((out / "report.json").read_text())["plays"],
            "simulate_s": simulated - before,
            "prepare_s": prepared - simulated,
            "peak_gib": json.loads(done.stdout.splitlines()[-1])["peak_kib"] / 2**20,
            "files_gib": size / 2**30,
        }


def command(words: list[str]) -> None:
    """Measure every number of plays, print the table and write it."""
    options = parse(Options, words, "python -m experiments.scale")
    if not options.plays or min(options.plays) < 1:
        raise InputError(f"--plays: expected numbers of at least 1, got {options.plays}")
    rows = [measure(plays, options) for plays in tqdm(options.plays, desc="scale", unit=" sizes")]
    header = ["plays", "kept", "files, GiB", "simulate, s", "prepare, s", "plays/s", "peak memory, GiB"]
    table = markdown(
        header,
        [
            [
                f"{row['plays']:,}",
                f"{row['kept']:,}",
                f"{row['files_gib']:.2f}",
                f"{row['simulate_s']:.0f}",
                f"{row['prepare_s']:.0f}",
                f"{row['plays'] / row['prepare_s']:.0f}",
                f"{row['peak_gib']:.2f}",
            ]
            for row in rows
        ],
    )
    options.out.mkdir(parents=True, exist_ok=True)
    growth_figure(options.out / "scale.png", rows)
    pl.DataFrame(rows).write_csv(options.out / "scale.csv")
    title = f"From {options.format} files to the prepared data set"
    text = f"{provenance.heading(title, 'experiments.scale', words)}\n\n{table}\n\n![growth](scale.png)\n"
    (options.out / "scale.md").write_text(text)
    print(text)
