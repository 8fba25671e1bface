"""Export a run's scorer: sbp export RUN OUT; the folder needs only jax and NumPy."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from sbp_jax.cli.flags import parse
from sbp_jax.cli.terminal import new_folder


@dataclass(frozen=True)
class Options:
    """Write compiled functions, weights, specification, the scale of the scores, and loading code into a folder.

    Attributes:
        run: folder of a run, as printed by sbp train.
        out: folder to write; an earlier export there is replaced.
        batches: numbers of concurrent plays that a scorer can be loaded for.
        platforms: platforms of the functions: cpu, cuda, rocm, tpu.
        step: step of the checkpoint; by default the newest.
        league: file of the league for passing scores; by default RUN/scores/league.json, which sbp score writes, or the
            league of the cross-fitting that contains the run.
        onnx: also write the function of a complete play as ONNX (needs jax2onnx).
        trust: import your own head, encoder or objective if the run's configuration names one.
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
    """Export a run and print a summary."""
    options = parse(Options, args, "sbp export")
    from tqdm import tqdm

    from sbp_jax.live.export import PACKAGE, export
    from sbp_jax.runs.run import load_run

    out = new_folder(options.out, "OUT")
    run = load_run(options.run, options.step, trust=options.trust)
    with tqdm(desc="export", unit="program") as bar:

        def on_program(name: str) -> None:
            bar.set_postfix_str(name)
            bar.update()

        manifest = export(run, out, options.batches, options.platforms, options.league, options.onnx, on_program)
    size = sum(each["bytes"] for each in manifest["files"].values())
    count = len(manifest["files"])
    print(f"{options.run} at step {run.step}: {count} files, {size / 1e6:.1f} MB, written to {out}")
    if manifest["spec"]["league"] is None:
        print(f"No league is saved with the run: run sbp score {options.run} first to get passing scores.")
    print(f"Put {out} on Python's path, then: from {PACKAGE} import load; scorer = load({str(out)!r})")
