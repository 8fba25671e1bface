"""The score and baseline ratings against winning and true skill, on real and simulated team-seasons.

Every play is scored by a network trained on other seasons. A team-season is rated by the regular-season plays of its
primary passer; ratings are correlated with win percentage and with reaching the playoffs.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from experiments.shared.study import REAL_TAILS, Options
from experiments.winning import simulated
from experiments.winning.choice import AVERAGED, OUTCOMES, RATINGS, SUCCESS, Choice, rated
from experiments.winning.page import Reliabilities, Winning
from sbp_jax import configs
from sbp_jax.config import Config, DataConfig, HeadConfig
from sbp_jax.data.readers.tables import check_column, read_file
from sbp_jax.errors import InputError
from sbp_jax.runs.crossfit import crossfit
from sbp_jax.runs.score import open_target, score_plays
from sbp_jax.scoring.ratings import rate, sums
from sbp_jax.scoring.reliability import split_half, year_to_year
from sbp_jax.scoring.winning import correlations, primary_passers
from sbp_jax.training.stop import StopRequest

TITLE = "Ratings and winning"
LISTED = {"passer rating, as listed": "passer_rating", "ESPN QBR": "qbr_total", "ANY/A, as listed": "ANY/A"}
# of team-seasons 2016 to 2023, measured on the same list (win percentage, playoffs)
PUBLISHED = {"passer rating, 2016 to 2023": (0.614, 0.504), "ESPN QBR, 2016 to 2023": (0.667, 0.540)}
# alternative codes of franchises
CODES = {"JAC": "JAX", "LAR": "LA", "STL": "LA", "SL": "LA", "SD": "LAC", "OAK": "LV", "WSH": "WAS"}
CODES |= {"ARZ": "ARI", "BLT": "BAL", "CLV": "CLE", "HST": "HOU"}
REGULAR_WEEKS = {2017: 17, 2018: 17, 2019: 17}
SEASONS, CHOSEN_ON, REPORTED = (2017, 2018, 2019), (2017, 2018), (2019,)
# columns of a scored play that are used; the list of plays has hundreds
COLUMNS = ["season", "week", "team", "game_id", "play_id", "passer_id", "passer", "result", "gain", "touchdown"]
COLUMNS += ["epa", "expected_completion", "outcome", "score", "pit", "success_chance"]
ALL = "dropbacks"
PLAYS = {"attempts": ("C", "I", "IN"), "attempts and sacks": ("C", "I", "IN", "S"), ALL: ("C", "I", "IN", "S", "R")}
CANDIDATES = tuple((outcome, which) for outcome in ("yards", "net_yards", "epa") for which in PLAYS)
QUICK = (("yards", "attempts"), ("yards", ALL))


def make(options: Options, root: Path, stop: StopRequest | None = None) -> list[Any]:
    """Make the pages: real team-seasons, the choice and its reliability; simulated team-seasons, and true skill.

    Raises:
        InputError: a file or a column is missing, or no team-season joins.
    """
    source, records, root = options.path("play_by_play"), options.path("team_seasons"), root / "winning"
    pages, aggregation = _real(options.quick, root, source, records, stop)
    return [*pages, *simulated.make(options.quick, root, aggregation, stop)]


def _real(quick: bool, root: Path, source: Path, records: Path, stop: StopRequest | None) -> tuple[list[Any], str]:
    """The pages, and the best aggregation for yards of attempts on the seasons of the choice.

    `source` is a list of plays of the seasons `SEASONS`; `records` is a table of team-seasons with the columns
    `season`, `team`, `win_pct`, `made_playoffs` and those of `LISTED`.
    """
    listed = _records(records)
    scored: dict[tuple[str, str], pl.DataFrame] = {}
    for outcome, which in QUICK if quick else CANDIDATES:
        config = _real_config(outcome, which, source, quick)
        folder = crossfit(config, len(SEASONS), "season", root / "real", stop)
        plays = score_plays(open_target(folder))
        last = pl.col("season").replace_strict(REGULAR_WEEKS, return_dtype=pl.Int64)
        scored[outcome, which] = plays.filter(pl.col("week") <= last).select(COLUMNS)
    choices = [Choice(*key, aggregation) for key in scored for aggregation in AVERAGED]
    # the baseline ratings use all dropbacks, whatever is scored
    dropbacks = scored["yards", ALL]
    before = rate(sums(dropbacks.drop("score"), ["season", "team", "passer_id", "passer"]))
    primary = primary_passers(dropbacks).join(before.drop("plays"), on=["season", "team", "passer_id"])
    table = primary.join(listed, on=["season", "team"], how="inner").rename(
        {f"listed_{name}": name for name in LISTED} | {column: name for name, column in RATINGS.items()}
    )
    if table.is_empty():
        raise InputError(f"{records}: none of its {len(listed)} team-seasons joins the plays' by season and team")
    for choice in choices:
        own = rated(scored[choice.outcome, choice.plays], choice)
        table = table.join(own, on=["season", "team", "passer_id"], how="left")
    names = [choice.name for choice in choices]
    selection = table.filter(pl.col("season").is_in(CHOSEN_ON))
    on_selection = correlations(selection, names, OUTCOMES, names[0])
    means = {name: float(np.mean([c.value for c in on_selection if c.rating == name])) for name in names}
    best = max(means, key=lambda name: means[name])
    chosen = choices[names.index(best)]
    ratings = [best, *LISTED, *RATINGS]
    periods = {
        f"{REPORTED[0]}, which had no part in the choice": table.filter(pl.col("season").is_in(REPORTED)),
        f"{CHOSEN_ON[0]} and {CHOSEN_ON[1]}, on which it was chosen": selection,
        "all three seasons": table,
    }
    rows = [
        {"period": period, **vars(each)}
        for period, part in periods.items()
        for each in correlations(part, ratings, OUTCOMES, best)
    ]
    common = table.drop_nulls([*ratings, *OUTCOMES])
    about = (
        f"{len(common)} of {len(table)} team-seasons have every rating (ESPN lists no QBR for some). Each is rated by "
        "the passer with the most dropbacks of the regular season, sacks and runs included. Three networks that see "
        "the situation are each trained on two seasons and score the third. The scored outcome and its aggregation "
        f"were chosen on {CHOSEN_ON[0]} and {CHOSEN_ON[1]} by the mean of both correlations, among {len(choices)} "
        f"candidates: {best} ({means[best]:.3f}). 90 % intervals by bootstrap over teams."
    )
    winning = Winning(
        title="Real team-seasons: ratings against winning",
        about=about,
        rows=pl.DataFrame(rows),
        ours=best,
        published=PUBLISHED,
        notes=(
            "The published rows are from other seasons. QBR and EPA account for runs, fumbles and the clock, which a "
            "score of passes does not.",
            "The candidates with runs among the dropbacks were added after a trial of one epoch whose metrics for 2019 "
            "had been seen, so 2019 is not fully independent of the choice.",
        ),
    )
    picked = Winning(
        title=f"Candidates for outcome and aggregation on {CHOSEN_ON[0]} and {CHOSEN_ON[1]}",
        about="All candidates on the team-seasons of the choice. Differences are the chosen candidate's lead.",
        rows=pl.DataFrame(
            [{"period": "choice", **vars(each)} for each in correlations(selection, names, OUTCOMES, best)]
        ),
        ours=best,
    )
    plays = scored[chosen.outcome, chosen.plays].with_columns(score=AVERAGED[chosen.aggregation])
    aggregation = max(AVERAGED, key=lambda how: means[Choice("yards", "attempts", how).name])
    return [winning, picked, _reliability(plays)], aggregation


def _reliability(plays: pl.DataFrame) -> Reliabilities:
    known = {"mean_score": "mean play score", "success_over_expectation": SUCCESS} | {
        column: name for name, column in RATINGS.items()
    }
    columns = [name for name in known if name in rate(sums(plays.head(1), ["passer_id"])).columns]
    rows = [
        {"kind": kind, **vars(each), "rating": known[each.rating]}
        for kind, reliabilities in (
            ("split halves of a season", split_half(plays, columns)),
            ("a season and the next", year_to_year(plays, columns)),
        )
        for each in reliabilities
    ]
    return Reliabilities(
        title="How much of a rating repeats",
        about=(
            "Passers with 200 dropbacks in a regular season, 2017 to 2019: correlation of two random halves of their "
            "games, stepped up to a season's length (Spearman-Brown), and of one season with the next. 90 % intervals "
            "by bootstrap over passers."
        ),
        rows=pl.DataFrame(rows),
    )


def _records(path: Path) -> pl.DataFrame:
    table = read_file(path)
    for name in ("season", "team", *OUTCOMES, *LISTED.values()):
        check_column(table, path, name)
    return table.select(
        pl.col("season").cast(pl.Int64),
        pl.col("team").replace(CODES),
        *(pl.col(name).cast(pl.Float64) for name in OUTCOMES),
        *(pl.col(column).cast(pl.Float64, strict=False).alias(f"listed_{name}") for name, column in LISTED.items()),
    )


def _real_config(outcome: str, which: str, source: Path, quick: bool) -> Config:
    base = configs.get("play_by_play")
    assert isinstance(base.data, DataConfig)
    data = replace(base.data, source=(str(source),), outcome=outcome, results=PLAYS[which])
    low = -20.0 if "S" in PLAYS[which] or outcome == "net_yards" else -10.0
    head = replace(base.head, tail_mass=REAL_TAILS, low=low, high=99.0, bins=round(99 - low) + 1)
    training = replace(base.training, epochs=1 if quick else base.training.epochs)
    if outcome == "epa":
        head = HeadConfig(low=-8.0, high=8.0, bins=129, tail_mass=(0.01, 0.01), support=(-30.0, 30.0))
        training = replace(training, objective="exact")
    return replace(base, data=data, head=head, training=training)
