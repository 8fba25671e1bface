"""Compare SBPRegressor and baselines: python -m experiments.regression [--sets NAME ...] [--models NAME ...] [--quick].

The baselines and the data need the extra `regression`, and XGBoostLSS a separate installation; the error for a missing
package states the command that installs it. Each result is stored in runs/regression: the same command resumes. To use
two cores, run two commands at the same time with different --sets.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

from experiments.regression import page, study
from experiments.regression.models import MARGINAL, MODELS
from experiments.regression.sets import BLOCKS, MAX_ROWS, SETS
from sbp_jax.cli.flags import parse, run
from sbp_jax.errors import InputError
from sbp_jax.runs import provenance

QUICK_SET, QUICK_ROWS, QUICK_SPLITS = "simulated-claims", 600, 2


@dataclass(frozen=True)
class Options:
    """Fit SBPRegressor and its baselines to data sets with heavy or odd outcomes, and write a page that compares them.

    Attributes:
        quick: 600 rows and two splits; by default, only one simulated set and the marginal baseline.
        sets: names of data sets; all by default.
        models: names of models; all by default.
        splits: number of splits, 1 to 5.
        out: folder for regression.md, regression.json, regression.parquet and regression.png.
    """

    quick: bool = False
    sets: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    splits: int = BLOCKS
    out: Path | None = None


def command(args: list[str]) -> None:
    """Fit what is missing, and write the page."""
    options = parse(Options, args, "python -m experiments.regression")
    if not 1 <= options.splits <= BLOCKS:
        raise InputError(f"--splits: expected 1 to {BLOCKS}, got {options.splits}")
    quick = options.quick
    sets = study.chosen("sets", options.sets or [QUICK_SET] * quick, SETS)
    models = study.chosen("models", options.models or [MARGINAL] * quick, MODELS)
    for name in models:
        MODELS[name].check()
    rows, splits = (QUICK_ROWS, min(options.splits, QUICK_SPLITS)) if quick else (MAX_ROWS, options.splits)
    sizes = {name: SETS[name].load(rows).x.shape for name in sets}
    root = Path("runs/regression-quick" if quick else "runs/regression")
    out = options.out or (root if quick else Path("experiments/results/regression"))
    results = study.table(study.run(study.tasks(sets, models, splits), root, rows))
    parts = [provenance.heading(page.TITLE, "experiments.regression", args), *page.report(results, sizes)]
    page.drawing(results, out / "regression.png")
    results.write_parquet(out / "regression.parquet")
    provenance.write_page(out, "regression", parts, results.to_dicts())
    print("\n\n".join(page.verdicts(results)), f"written to {out}: regression.md, .json, .parquet, .png", sep="\n")


if __name__ == "__main__":
    run(command, sys.argv[1:], "interrupted; the same command resumes")
