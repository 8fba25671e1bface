"""Score quarterbacks with a trained run: python -m experiments.score RUN [--split test] [--min-plays 20]."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import polars as pl
import tyro

from experiments.cli import main, parse
from sbp_jax.errors import InputError
from sbp_jax.reporting.tables import markdown
from sbp_jax.run import load_run
from sbp_jax.scoring import leaderboard


@dataclass(frozen=True)
class Options:
    """Mean play score by quarterback; writes plays and leaderboard as CSV and parquet into RUN/scores.

    Attributes:
        run: folder of a run, as experiments.train printed it.
        split: which plays; "held-out" is validation and test, the plays that no gradient came from.
        min_plays: quarterbacks with fewer plays are left out.
    """

    run: Annotated[Path, tyro.conf.Positional]
    split: Literal["train", "validation", "test", "held-out"] = "test"
    min_plays: int = 1


def leaderboard_table(table: pl.DataFrame, most: int = 40) -> str:
    """The leaderboard as Markdown."""
    rows = [
        [rank, row["passer"], row["plays"], f"{row['score']:+.3f}", _number(row["standard_error"]), f"{row['pit']:.3f}"]
        for rank, row in enumerate(table.head(most).iter_rows(named=True), start=1)
    ]
    return markdown(["rank", "passer", "plays", "score", "standard error", "mean PIT"], rows)


def command(args: list[str]) -> None:
    """Score the plays of a split and print the leaderboard."""
    options = parse(Options, args, "python -m experiments.score")
    run = load_run(options.run)
    splits = ("validation", "test") if options.split == "held-out" else (options.split,)
    chosen = [plays for plays in (run.plays(split) for split in splits) if len(plays)]
    if not chosen:
        raise InputError(f"split: there are no {options.split} plays in {run.dataset}")
    plays = pl.concat([run.score(each) for each in chosen])
    table = leaderboard(plays, min_plays=options.min_plays)
    folder = run.path / "scores"
    folder.mkdir(exist_ok=True)
    for name, frame in (("plays", plays), ("leaderboard", table)):
        frame.write_csv(folder / f"{name}.csv")
        frame.write_parquet(folder / f"{name}.parquet")
    print(leaderboard_table(table))
    print(f"\n{plays.height} plays of {table.height} quarterbacks; written to {folder}")


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


if __name__ == "__main__":
    main(command)
