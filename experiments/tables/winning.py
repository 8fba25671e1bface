"""The score against winning and true skill: team-seasons of simulated and real quarterbacks, beside the ratings before.

Every play is scored by a network of other seasons. A team-season is rated by its primary passer's plays, those of the
regular season, and correlated with its win percentage and with reaching the playoffs.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from scipy.special import ndtri

import configs
from experiments.crossfit import crossfit
from experiments.scored import open_target, score_plays
from experiments.tables.mae import EXTRAS, REAL_TAILS
from sbp_jax.config import Config, DataConfig, HeadConfig
from sbp_jax.data.columns import check_column, read_file
from sbp_jax.data.simulate import LeagueConfig, SimulationConfig, TrueLaw, simulate
from sbp_jax.errors import InputError
from sbp_jax.reporting.winning import Recovery, Reliabilities, Winning
from sbp_jax.scoring import League, aggregate
from sbp_jax.scoring.ratings import rate, sums
from sbp_jax.scoring.reliability import split_half, year_to_year
from sbp_jax.scoring.winning import correlations, primary_passers, rank_correlations
from sbp_jax.training.stop import Stop

OUTCOMES = ("win_pct", "made_playoffs")
SCORE, PIT, TRUE_LAW = "passing score", "mean PIT", "passing score by the true law"
# the columns of `ratings.rate`, by what they are called
RATINGS = {
    "passer rating": "passer_rating",
    "ANY/A": "any_a",
    "completion percentage": "completion_percentage",
    "CPOE": "cpoe",
    "yards per attempt": "yards_per_attempt",
    "EPA per play": "epa_per_play",
}
LISTED = {"passer rating, as listed": "passer_rating", "ESPN QBR": "qbr_total", "ANY/A, as listed": "ANY/A"}
# of team-seasons 2016 to 2023, measured on the same list (win percentage, playoffs)
PUBLISHED = {"passer rating, 2016 to 2023": (0.614, 0.504), "ESPN QBR, 2016 to 2023": (0.667, 0.540)}
# other codes of the same franchises
CODES = {"JAC": "JAX", "LAR": "LA", "STL": "LA", "SL": "LA", "SD": "LAC", "OAK": "LV", "WSH": "WAS"}
CODES |= {"ARZ": "ARI", "BLT": "BAL", "CLV": "CLE", "HST": "HOU"}
REGULAR_WEEKS = {2017: 17, 2018: 17, 2019: 17}
SEASONS, CHOSEN_ON, REPORTED = (2017, 2018, 2019), (2017, 2018), (2019,)
SIMULATED_PLAYS, EPOCHS = 51_000, 10
ATTEMPTS = (50, 100, 200, 300, 400, 500, 600)
DRAWS = 100
ALL = "dropbacks"
PLAYS = {"attempts": ("C", "I", "IN"), "attempts and sacks": ("C", "I", "IN", "S"), ALL: ("C", "I", "IN", "S", "R")}
CANDIDATES = tuple((outcome, which) for outcome in ("yards", "net_yards", "epa") for which in PLAYS)
QUICK = (("yards", "attempts"), ("yards", ALL), ("epa", ALL))


@dataclass(frozen=True)
class Choice:
    """What is scored and how it is averaged."""

    outcome: str
    plays: str
    aggregation: str

    @property
    def name(self) -> str:
        """For tables."""
        return f"{self.outcome} of {self.plays}, {self.aggregation}"


def make(quick: bool, root: Path, source: Path, records: Path, stop: Stop | None = None) -> list[Any]:
    """The pages: real team-seasons, their choice and reliability; simulated ones, and true skill.

    Args:
        quick: few plays and an epoch or two.
        root: folder of the runs.
        source: list of plays of the seasons `SEASONS`.
        records: table of team-seasons: `season, team, win_pct, made_playoffs` and `LISTED`.
        stop: asks a training to stop.

    Raises:
        InputError: a file is missing or lacks a column; no team-season joins.
    """
    for path, flag in ((source, "--play-by-play"), (records, "--team-seasons")):
        if not path.exists():
            raise InputError(f"{path}: not there; say where it is with {flag} FILE")
    return [*_real(quick, root, source, records, stop), *_simulated(quick, root, stop)]


def _real(quick: bool, root: Path, source: Path, records: Path, stop: Stop | None) -> list[Any]:
    listed = _records(records)
    scored: dict[tuple[str, str], pl.DataFrame] = {}
    for outcome, which in QUICK if quick else CANDIDATES:
        config = _real_config(outcome, which, source, quick)
        folder = crossfit(config, len(SEASONS), "season", root / "real", stop)
        plays = score_plays(open_target(folder))
        last = pl.col("season").replace_strict(REGULAR_WEEKS, return_dtype=pl.Int64)
        scored[outcome, which] = plays.filter(pl.col("week") <= last)
    choices = [Choice(*key, aggregation) for key in scored for aggregation in (SCORE, PIT)]
    # the raters before ours see all dropbacks, whatever is scored
    dropbacks = scored["yards", ALL]
    before = rate(sums(dropbacks.drop("score"), ["season", "team", "passer_id", "passer"]))
    primary = primary_passers(dropbacks).join(before.drop("plays"), on=["season", "team", "passer_id"])
    table = primary.join(listed, on=["season", "team"], how="inner").rename(
        {f"listed_{name}": name for name in LISTED} | {column: name for name, column in RATINGS.items()}
    )
    if table.is_empty():
        raise InputError(f"{records}: none of its {len(listed)} team-seasons joins the plays' by season and team")
    for choice in choices:
        rated = _rated(scored[choice.outcome, choice.plays], choice)
        table = table.join(rated, on=["season", "team", "passer_id"], how="left")
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
        f"{len(common)} of {len(table)} team-seasons have every rating (ESPN lists no QBR of some), each rated by its "
        "passer with the most dropbacks, sacks and runs among them, of the regular season. Three networks of the "
        "situation, each of two seasons, score the third. What was scored and how it was averaged were chosen on "
        f"{CHOSEN_ON[0]} and {CHOSEN_ON[1]} by the mean of both correlations, among {len(choices)}: {best} "
        f"({means[best]:.3f}). Intervals of 90 % by bootstrap over teams."
    )
    winning = Winning(
        title="Real team-seasons: ratings against winning",
        about=about,
        rows=pl.DataFrame(rows),
        ours=best,
        published=PUBLISHED,
        notes=(
            "The published rows are of other seasons. QBR and EPA count runs, fumbles and the clock, which a score of "
            "passes does not.",
            "The candidates with runs among the dropbacks were added after a trial of one epoch whose figures of 2019 "
            "had been seen: 2019 is not as new to the choice as it should be.",
        ),
    )
    picked = Winning(
        title=f"What was scored, and how it was averaged, on {CHOSEN_ON[0]} and {CHOSEN_ON[1]}",
        about="All candidates on the team-seasons of the choice. The differences are the chosen one's lead.",
        rows=pl.DataFrame(
            [{"period": "choice", **vars(each)} for each in correlations(selection, names, OUTCOMES, best)]
        ),
        ours=best,
    )
    plays = scored[chosen.outcome, chosen.plays].with_columns(score=_averaged(chosen))
    return [winning, picked, _reliability(plays)]


def _averaged(choice: Choice) -> pl.Expr:
    return pl.col("pit" if choice.aggregation == PIT else "score").cast(pl.Float64).alias("score")


def _rated(plays: pl.DataFrame, choice: Choice) -> pl.DataFrame:
    """The choice's rating of each team's passers by season."""
    if choice.aggregation == PIT:
        found = plays.group_by("season", "team", "passer_id").agg(pl.col("pit").mean().alias(choice.name))
    else:
        board = aggregate(plays, ("season", "team"), League.fit(plays), bootstraps=0)
        found = board.select("season", "team", "passer_id", pl.col("passing_score").alias(choice.name))
    return found


def _reliability(plays: pl.DataFrame) -> Reliabilities:
    known = {"mean_score": "mean play score"} | {column: name for name, column in RATINGS.items()}
    columns = [name for name in known if name in rate(sums(plays.head(1), ["passer_id"])).columns]
    rows = [
        {"kind": kind, **vars(each), "rating": known[each.rating]}
        for kind, found in (
            ("split halves of a season", split_half(plays, columns)),
            ("a season and the next", year_to_year(plays, columns)),
        )
        for each in found
    ]
    return Reliabilities(
        title="How much of a rating repeats",
        about=(
            "Passers with 200 dropbacks in a season, regular season 2017 to 2019: correlation of two random halves of "
            "their games, stepped up to a season's length (Spearman-Brown), and of one season with the next. Intervals "
            "of 90 % by bootstrap over passers."
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


def _simulated(quick: bool, root: Path, stop: Stop | None) -> list[Any]:
    plays_in_all = 3000 if quick else SIMULATED_PLAYS
    settings = SimulationConfig(plays=plays_in_all, seasons=3, league=LeagueConfig())
    folder = root / f"seasons-{plays_in_all}"
    if not folder.is_dir():
        simulate(folder, settings)
    base = configs.get("smoke" if quick else "demo")
    assert isinstance(base.data, DataConfig)
    data = replace(base.data, source=(str(folder),), extras=EXTRAS, validation=0.06, cache=str(root / "data"))
    config = replace(base, data=data, training=replace(base.training, epochs=1 if quick else EPOCHS))
    target = open_target(crossfit(config, 3, "season", root / "simulated", stop))
    plays = _by_the_true_law(score_plays(target), folder)
    teams = pl.read_csv(folder / "results" / "teams.csv")
    teams = teams.with_columns(win_pct=pl.col("wins") / (pl.col("wins") + pl.col("losses")))
    ratings = {name: column for name, column in RATINGS.items() if column != "epa_per_play"}
    table = primary_passers(plays).drop("plays")
    for name, column in ((SCORE, "score"), (TRUE_LAW, "true_score")):
        rated = _rated(plays.with_columns(score=pl.col(column)), Choice("yards", "attempts", SCORE))
        rated = rated.rename({rated.columns[-1]: name})
        table = table.join(rated, on=["season", "team", "passer_id"])
    before = rate(sums(plays.drop("score"), ["season", "team", "passer_id"]))
    table = table.join(before, on=["season", "team", "passer_id"]).rename({v: k for k, v in ratings.items()})
    table = table.join(teams.select("season", "team", *OUTCOMES), on=["season", "team"])
    skill = pl.read_parquet(folder / "truth" / "quarterback_seasons.parquet")
    table = table.join(skill.select("season", passer_id="nflId", skill="skill"), on=["season", "passer_id"], how="left")
    names = [SCORE, TRUE_LAW, *ratings]
    rows = [
        {"period": "three simulated seasons", **vars(each)}
        for each in correlations(table, names, (*OUTCOMES, "skill"), SCORE)
    ]
    winning = Winning(
        title="Simulated team-seasons: ratings against winning and true skill",
        about=(
            f"{len(table)} team-seasons, {len(plays):,} simulated passes with tracking, {len(plays) // len(table)} a "
            "team and season. Three networks, each of two seasons, score the third; games are won by true strength, of "
            "which the passer's skill is a part. Sacks are not simulated. Intervals of 90 % by bootstrap over teams."
        ),
        rows=pl.DataFrame(rows),
        ours=SCORE,
        known=(TRUE_LAW,),
    )
    return [winning, _recovery(plays, folder, names, ratings, quick)]


def _by_the_true_law(plays: pl.DataFrame, folder: Path) -> pl.DataFrame:
    """The plays with the score that the simulator's own law gives them."""
    law = TrueLaw.read(folder).select(plays["game_id"].to_numpy(), plays["play_id"].to_numpy())
    yards = plays["yards"].to_numpy()
    pit = (law.cdf(yards - 1) + law.cdf(yards)) / 2
    return plays.with_columns(true_score=pl.Series(ndtri(np.clip(pit, 1e-12, 1 - 1e-12))))


def _recovery(
    plays: pl.DataFrame, folder: Path, names: Sequence[str], ratings: dict[str, str], quick: bool
) -> Recovery:
    """Rank correlation with true skill by number of attempts, drawn from each passer's plays of all seasons."""
    skill = pl.read_parquet(folder / "truth" / "quarterbacks.parquet").select(passer_id="nflId", skill="skill")
    counts = plays.group_by("passer_id").len()
    rated: dict[int, pl.DataFrame] = {}
    generator = np.random.default_rng(0)
    for attempts in ATTEMPTS:
        enough = counts.filter(pl.col("len") >= attempts)["passer_id"]
        own = plays.filter(pl.col("passer_id").is_in(enough.implode())).sort("passer_id", "game_id", "play_id")
        if len(enough) < 3:
            continue
        tables = []
        for draw in range(5 if quick else DRAWS):
            order = own.with_columns(place=pl.Series(generator.random(len(own))))
            first = order.filter(pl.col("place").rank("ordinal").over("passer_id") <= attempts)
            scores = {SCORE: pl.col("score").mean(), TRUE_LAW: pl.col("true_score").mean()}
            total = first.group_by("passer_id").agg(**scores)
            before = rate(sums(first.drop("score"), ["passer_id"])).rename({v: k for k, v in ratings.items()})
            total = total.join(before, on="passer_id").join(skill, on="passer_id")
            tables.append(total.with_columns(draw=pl.lit(draw)))
        rated[attempts] = pl.concat(tables)
    rows = rank_correlations(rated, names, "skill")
    passers = {attempts: table["passer_id"].n_unique() for attempts, table in rated.items()}
    return Recovery(
        title="Rank correlation with true skill, by attempts",
        about=(
            f"Attempts drawn at random from each passer's of three seasons, {DRAWS} times; passers with as many: "
            + ", ".join(f"{count} of {attempts}" for attempts, count in passers.items())
            + ". Spearman's correlation of the rating with the simulator's skill, mean over the draws."
        ),
        rows=pl.DataFrame(rows),
        ours=SCORE,
        known=(TRUE_LAW,),
    )
