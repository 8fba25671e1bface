"""Export a run's scorer: sbp export RUN OUT; the folder runs with jax and NumPy alone."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from sbp_jax.cli.flags import parse


@dataclass(frozen=True)
class Options:
    """Write compiled functions, weights, specification, the score's scale and the code that loads them into a folder.

    Attributes:
        run: folder of a run, as sbp train printed it.
        out: folder to write; one that an earlier export wrote is replaced.
        batches: numbers of concurrent plays that a scorer can be loaded for.
        platforms: what the functions run on: cpu, cuda, rocm, tpu.
        step: which checkpoint; by default the newest.
        league: file of the league that gives passing scores; by default RUN/scores/league.json, which sbp score writes,
            or that of the cross-fitting around the run.
        onnx: write the function of a whole play as ONNX too (needs jax2onnx).
        trust: import the head, encoder or objective of your own that the run's configuration names.
    """

    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    out: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="OUT")]
    batches: tuple[int, ...] = (1, 32)
    platforms: tuple[str, ...] = ("cpu", "cuda")
    step: int | None = None
    league: Path | None = None
    onnx: bool = False
    trust: bool = False


def command(args: list[str]) -> None:
    """Export a run and say what was written."""
    options = parse(Options, args, "sbp export")
    from tqdm import tqdm

    from sbp_jax.live.export import PACKAGE, export
    from sbp_jax.runs.run import load_run

    run = load_run(options.run, options.step, trust=options.trust)
    with tqdm(desc="export", unit="program") as bar:

        def tell(name: str) -> None:
            bar.set_postfix_str(name)
            bar.update()

        manifest = export(run, options.out, options.batches, options.platforms, options.league, options.onnx, tell)
    size = sum(each["bytes"] for each in manifest["files"].values())
    count = len(manifest["files"])
    print(f"{options.run} at step {run.step}: {count} files, {size / 1e6:.1f} MB, written to {options.out}")
    if manifest["spec"]["league"] is None:
        print(f"No league is saved with the run: run sbp score {options.run} first to get passing scores.")
    print(f"Put {options.out} on Python's path, then: from {PACKAGE} import load; scorer = load({str(options.out)!r})")
