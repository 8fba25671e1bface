"""Check values and gradients: sbp gradients [--run RUN] [--plays 8] [--out FOLDER]; exit code 1 if a check fails."""

import sys
from dataclasses import dataclass
from pathlib import Path

from sbp_jax.cli.flags import parse
from sbp_jax.cli.terminal import output_folder
from sbp_jax.errors import InputError


@dataclass(frozen=True)
class Options:
    """Compare autodiff with 50-digit arithmetic in both precisions, on a grid of cases or on a network's outputs.

    Without a run, training with every objective also starts at the truth, to check the mean gradient and that training
    stays there.

    Attributes:
        run: folder of a trained run whose raw outputs and objective are checked.
        plays: number of test plays of the run to check.
        out: folder for the table, the rows and the figure; by default RUN/gradients, or runs/gradients without a run.
    """

    run: Path | None = None
    plays: int = 8
    out: Path | None = None


def command(args: list[str]) -> None:
    """Check gradients, print the table and write the results; exit with code 1 if an error exceeds its bound."""
    options = parse(Options, args, "sbp gradients")
    if options.plays < 1:
        raise InputError(f"plays: expected at least 1, got {options.plays}")
    import numpy as np
    import polars as pl

    from sbp_jax.evaluation.consistency import TRUTH, profile
    from sbp_jax.reporting import gradients as figures
    from sbp_jax.runs import provenance
    from sbp_jax.runs.gradients import at_the_truth, of_a_run, of_the_grid

    default = Path("runs/gradients") if options.run is None else options.run / "gradients"
    out = output_folder(options.out or default)
    rows = of_the_grid() if options.run is None else of_a_run(options.run, options.plays)
    out.mkdir(parents=True, exist_ok=True)
    failures = [row for row in rows if not row["ratio"] <= 1]
    frame = pl.DataFrame(rows)
    frame.write_parquet(out / "gradients.parquet")
    figures.draw(out / "gradients.png", rows)
    allowances = sum(row["allowance"] for row in rows)
    summary = (
        f"{len(rows)} numbers, {len(failures)} beyond their bound. For {allowances} of them, rounding the inputs (raw "
        "outputs, outcome, shapes, scales) changes the result by more than the bound; ten times that change is allowed."
    )
    text = [
        provenance.heading("Gradient check", "sbp gradients", args),
        "Derivatives of the loss with respect to every raw output and the outcome, by autodiff, compared with 50-digit "
        "arithmetic. Bounds, relative to max(1, |value|): values 5e-6 in float32 and 1e-12 in float64, derivatives "
        "1e-4 and 1e-9.",
        summary,
        figures.table(rows),
        "![error over bound](gradients.png)",
    ]
    names = ["gradients.md", "gradients.parquet", "gradients.png"]
    drifts: list[dict] = []
    if options.run is None:
        truth_rows = at_the_truth()
        drifts = [row for row in truth_rows if row["consistent"] and not row["ratio"] <= 1]
        pl.DataFrame(truth_rows).write_parquet(out / "truth.parquet")
        offsets = np.linspace(-0.3, 0.3, 121)
        figures.draw_truth(
            out / "truth.png", offsets, {name: profile(name, offsets) for name in ("pointwise", "exact")}
        )
        names += ["truth.parquet", "truth.png"]
        text += ["## Started at the truth", TRUTH, figures.truth_table(truth_rows), "![truth](truth.png)"]
    (out / "gradients.md").write_text("\n\n".join(text) + "\n", encoding="utf-8")
    print("\n\n".join(part for part in text[2:] if not part.startswith("![")))
    print(f"written to {out}: {', '.join(names)}")
    for row in drifts:
        print(
            f"missed: {row['objective']} with {row['parameterization']}, {row['start']}: mean gradient "
            f"{row['gradient']:.2e}, drift {row['drift']:.2e} nats; expected to stay at the truth",
            file=sys.stderr,
        )
    if failures:
        for row in sorted(failures, key=lambda r: -r["ratio"])[:20]:
            print(
                f"missed: {row['parameterization']}, {row['regime']}, {row['precision']}, {row['quantity']}: "
                f"{row['value']:.9g}, exact {row['exact']:.9g}, error / bound {row['ratio']:.3g}",
                file=sys.stderr,
            )
    if failures or drifts:
        sys.exit(1)
