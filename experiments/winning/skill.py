"""The score against winning and true skill on simulated seasons, where law and skill are known."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from experiments.shared.passes import EXTRAS as DISTANCES
from experiments.winning.choice import AVERAGED, OUTCOMES, RATINGS, Choice, rated
from experiments.winning.page import Winning
from experiments.winning.recovery import LEAGUES, recovery
from experiments.winning.truth import KNOWN, under_the_true_law, with_truth
from sbp_jax import configs
from sbp_jax.config import DataConfig
from sbp_jax.data.simulator.simulate import LeagueConfig, SimulationConfig, simulate
from sbp_jax.runs.crossfit import crossfit
from sbp_jax.runs.score import open_target, score_plays, with_expectation
from sbp_jax.scoring.ratings import rate, sums
from sbp_jax.scoring.winning import correlations, primary_passers
from sbp_jax.training.stop import Stop

PLAYS, EPOCHS = 51_000, 15
EXTRAS = (*DISTANCES, "target_defenders")
SEED = 2
SEEN = (
    "On seasons of a first seed normal scores of networks that were not told the target, trained for 10 epochs, were "
    "first in true skill at 50 attempts alone: ranks were averaged beside them, and the networks told more. On seasons "
    "of a second one mean ranks were first at 100 attempts alone: success over expectation was added, as most of what "
    "skill does in the simulator is to complete passes, completion over expectation was told the depth of the pass, "
    "and true skill by attempts was measured on many leagues. These seasons, of a third seed, were simulated after "
    "that."
)


def make(quick: bool, root: Path, aggregation: str, stop: Stop | None = None) -> list[Any]:
    """The pages: simulated team-seasons against winning and skill, and the recovery of skill by attempts.

    Args:
        quick: few plays and an epoch.
        root: folder of the runs and of the simulated files.
        aggregation: how scores are averaged, as was chosen on real seasons; the other way has a row too.
        stop: asks a training to stop.
    """
    plays_in_all = 3000 if quick else PLAYS
    settings = SimulationConfig(plays=plays_in_all, seasons=3, seed=SEED, league=LeagueConfig())
    folder = root / f"seasons-{plays_in_all}-{SEED}"
    if not folder.is_dir():
        simulate(folder, settings)
    base = configs.get("smoke" if quick else "demo")
    assert isinstance(base.data, DataConfig)
    data = replace(base.data, source=(str(folder),), extras=EXTRAS, validation=0.06, cache=str(root / "data"))
    config = replace(base, data=data, training=replace(base.training, epochs=1 if quick else EPOCHS))
    target = open_target(crossfit(config, 3, "season", root / "simulated", stop))
    plays = with_expectation(with_truth(score_plays(target), folder))
    teams = pl.read_csv(folder / "results" / "teams.csv")
    teams = teams.with_columns(win_pct=pl.col("wins") / (pl.col("wins") + pl.col("losses")))
    ratings = {name: column for name, column in RATINGS.items() if column != "epa_per_play"}
    table = primary_passers(plays).drop("plays")
    for told, names in ((plays, {how: how for how in AVERAGED}), (under_the_true_law(plays), KNOWN)):
        for how, name in names.items():
            found = rated(told, Choice("yards", "attempts", how))
            table = table.join(found.rename({found.columns[-1]: name}), on=["season", "team", "passer_id"])
    before = rate(sums(plays.drop("score"), ["season", "team", "passer_id"]))
    table = table.join(before, on=["season", "team", "passer_id"]).rename({v: k for k, v in ratings.items()})
    table = table.join(teams.select("season", "team", *OUTCOMES), on=["season", "team"])
    skill = pl.read_parquet(folder / "truth" / "quarterback_seasons.parquet")
    table = table.join(skill.select("season", passer_id="nflId", skill="skill"), on=["season", "passer_id"], how="left")
    rows = [
        {"period": "three simulated seasons", **vars(each)}
        for each in correlations(table, [*AVERAGED, *KNOWN.values(), *ratings], (*OUTCOMES, "skill"), aggregation)
    ]
    winning = Winning(
        title="Simulated team-seasons: ratings against winning and true skill",
        about=(
            f"{len(table)} team-seasons, {len(plays):,} simulated passes with tracking, {len(plays) // len(table)} a "
            "team and season. Three networks, each of two seasons, score the third; they know whom the pass was thrown "
            "to, as completion over expectation knows how far. Scores are averaged as was best for yards of attempts "
            f"on the real seasons of 2017 and 2018: {aggregation}. Games are won by true strength, of which the "
            "passer's skill is a part. Sacks are not simulated. Intervals of 90 % by bootstrap over teams."
        ),
        rows=pl.DataFrame(rows),
        ours=aggregation,
        known=tuple(KNOWN.values()),
        siblings=tuple(how for how in AVERAGED if how != aggregation),
        notes=(SEEN,),
    )
    return [winning, recovery(target, plays, folder, ratings, leagues=5 if quick else LEAGUES)]
