"""Train every arm of an ablation grid with several seeds: sbp sweep GRID [--seeds 5] [--arms A B] [--base CONFIG].

Arms that differ only in values are trained as one program, and all are evaluated on the test plays. The command writes
a parquet file of all members, a table with intervals, and figures. After an interrupt, the same command resumes.
"""

from dataclasses import dataclass
from pathlib import Path

from sbp_jax.cli.flags import parse
from sbp_jax.cli.terminal import output_folder
from sbp_jax.errors import InputError
from sbp_jax.runs import grid

INTERRUPTED = "interrupted; the same command resumes with what is missing"


@dataclass(frozen=True)
class Options:
    """Train every arm of a grid with several seeds and compare them on the test plays.

    Attributes:
        seeds: number of training runs per arm; their spread gives the intervals.
        arms: names of the arms to train; all by default. The reference is always included.
        plays: number of simulated plays, instead of the base configuration's.
        epochs: number of epochs, instead of the base configuration's.
        base: named configuration that the arms change, instead of the grid's own; "play_by_play" is for real plays.
        source: files of plays to train on, instead of simulated plays.
        out: folder for the results; by default runs/ablation/GRID, which contains the runs.
        ray: distribute the training runs over the Ray cluster at this address ("auto", host:port; "local" starts one).
        ray_cpus: processors per task on the cluster.
    """

    seeds: int = 5
    arms: tuple[str, ...] = ()
    plays: int | None = None
    epochs: int | None = None
    base: str | None = None
    source: tuple[str, ...] = ()
    out: Path | None = None
    ray: str = ""
    ray_cpus: float = 1.0


def command(args: list[str]) -> None:
    """Run the ablation named on the command line."""
    if not args or args[0].startswith("-"):
        if any(word in ("-h", "--help") for word in args):
            parse(Options, ["--help"], "sbp sweep GRID", about=_grids())
        raise InputError(f"expected a grid first; known: {', '.join(grid.names())}")
    grid.read(args[0])  # report a wrong name before wrong options
    options = parse(Options, args[1:], f"sbp sweep {args[0]}")
    import dataclasses
    import json

    from sbp_jax.reporting import ablation as reporting
    from sbp_jax.runs import provenance
    from sbp_jax.runs.signals import listening
    from sbp_jax.runs.sweep import ablate, trials

    ablation = grid.read(args[0], options.base)
    root = Path("runs/ablation") / ablation.name
    out = output_folder(options.out or root)
    with listening() as stop:
        every = trials(ablation, options.seeds, options.arms, options.plays, options.epochs, options.source)
        table, references, dataset = ablate(ablation, every, root, stop, options.ray, options.ray_cpus)
    out.mkdir(parents=True, exist_ok=True)
    table.write_parquet(out / f"{ablation.name}.parquet")
    context = reporting.Context(ablation.title, ablation.about, ablation.reference, ablation.axis, ablation.logarithmic)
    reporting.drawing(out / f"{ablation.name}.png", table, references, context)
    heading = provenance.heading(ablation.title, "sbp sweep", args, provenance.describe())
    plays = len(dataset.split("train")), len(dataset.split("test"))
    text = "\n\n".join([heading, *reporting.report(table, references, context, plays)]) + "\n"
    (out / f"{ablation.name}.md").write_text(text, encoding="utf-8")
    summary = {"grid": dataclasses.asdict(context), "baselines": references, "fingerprint": dataset.fingerprint}
    (out / f"{ablation.name}.json").write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
    print(f"\n{text}\nwritten to {out}: {', '.join(sorted(p.name for p in out.glob(ablation.name + '.*')))}")


def _grids() -> str:
    width = max(map(len, grid.names()))
    lines = [f"  {name:<{width}}  {grid.title(name)}" for name in grid.names()]
    about = (Options.__doc__ or "").split("\n\n")[0]
    return "\n".join([about, "", "GRID is your own TOML file, or the name of a grid:", *lines])
