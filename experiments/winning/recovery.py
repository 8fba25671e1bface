"""How well each rating finds true skill, by attempts: leagues whose outcomes are drawn anew on simulated plays.

No frame of the simulator depends on the passer's skill, so any passer may be given any play, its outcome drawn from the
true law at his skill. The networks' laws of a play stay what they are. One league of sixty passers hardly tells two
good ratings apart; hundreds do.
"""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import polars as pl
from tqdm import tqdm

from experiments.winning.choice import AVERAGED
from experiments.winning.page import Recovery
from experiments.winning.truth import KNOWN, TRUE, normal, under_the_true_law
from sbp_jax.data.simulator.simulate import TrueLaw
from sbp_jax.runs.score import Target, parts_of
from sbp_jax.scoring.play import mid_pit, normal_score
from sbp_jax.scoring.ratings import rate, sums
from sbp_jax.scoring.winning import rank_correlations

ATTEMPTS = (50, 100, 200, 300, 400, 500, 600)
PASSERS, LEAGUES = 60, 200
_FEWEST = 3  # passers in a league


def recovery(
    target: Target, plays: pl.DataFrame, folder: Path, ratings: dict[str, str], leagues: int = LEAGUES, seed: int = 0
) -> Recovery:
    """Rank correlation with true skill of every rating, by number of attempts.

    Args:
        target: the networks, each scoring the plays that it did not train on.
        plays: what they scored, as `truth.with_truth` has it, with `expected_completion`.
        folder: the simulated files, with their truth.
        ratings: the raters before ours: column of `ratings.rate` by name.
        leagues: how many are drawn.
        seed: of all draws.
    """
    law, grades = every_outcome(target, TrueLaw.read(folder))
    ids = pl.DataFrame({"game_id": law.game_id, "play_id": law.play_id})
    joined = ids.join(plays, on=["game_id", "play_id"], how="left", maintain_order="left")
    known = joined.select("expected_completion", "success_chance", f"{TRUE}success_chance")
    goal = law.parameters.yards_to_goal
    generator = np.random.default_rng(seed)
    told = [attempts for attempts in ATTEMPTS if len(law) // attempts >= _FEWEST]
    most, passers = told[-1], min(PASSERS, len(law) // told[-1])
    passer, number = np.divmod(np.arange(passers * most), most)
    rated: dict[int, list[pl.DataFrame]] = {attempts: [] for attempts in told}
    for league in tqdm(range(leagues), desc="leagues", unit=" leagues"):
        rows = generator.permutation(len(law))[: len(passer)]
        skill = generator.standard_normal(passers)
        drawn = law.take(rows).redrawn(skill[passer], int(generator.integers(2**31)))
        place = drawn.yards - law.support()[0]
        thrown = pl.DataFrame(
            {
                "passer_id": passer,
                "result": drawn.result,
                "gain": drawn.yards,
                "touchdown": (drawn.result == "C") & (drawn.yards >= goal[rows]),
                "yards": drawn.yards,
                **{name: values[rows, place] for name, values in grades.items()},
            }
        ).hstack(known[rows])
        true = pl.DataFrame({"passer_id": np.arange(passers), "skill": skill, "league": league})
        for attempts in told:
            first = thrown.filter(number < attempts)
            table = rate(sums(first, ["passer_id"])).rename({column: name for name, column in ratings.items()})
            for by, names in ((first, {how: how for how in AVERAGED}), (under_the_true_law(first), KNOWN)):
                means = {names[how]: what.mean() for how, what in AVERAGED.items()}
                table = table.join(by.group_by("passer_id").agg(**means), on="passer_id")
            rated[attempts].append(table.join(true, on="passer_id"))
    tables = {attempts: pl.concat(each) for attempts, each in rated.items()}
    return Recovery(
        title="Rank correlation with true skill, by attempts",
        about=(
            f"{leagues} leagues of {passers} passers: skills and plays drawn at random, and the plays' outcomes drawn "
            "anew from the true law at those skills, as no frame depends on the passer. Fewer attempts are the first "
            "of the most. Spearman's correlation of the rating with the skill, mean over the leagues."
        ),
        rows=rank_correlations(tables, [*AVERAGED, *KNOWN.values(), *ratings], "skill"),
        ours=tuple(AVERAGED),
        known=tuple(KNOWN.values()),
    )


def every_outcome(target: Target, law: TrueLaw) -> tuple[TrueLaw, dict[str, np.ndarray]]:
    """The law of the plays in the networks' order, and what each outcome of its support would be given, [N, V].

    By name of the column of scored plays, and with the prefix `TRUE` by the true law.
    """
    support, parts = law.support(), []
    for run, plays in parts_of(target, "all"):
        if not len(plays):
            continue
        distribution, limit = run.predict(plays), run.limit(plays)
        yards = [(jnp.full(len(plays), float(k)), jnp.asarray(limit <= k)) for k in support]
        grades = [_grade(distribution, *each) for each in yards]
        pit, score = (np.stack([np.asarray(values) for values in each], axis=1) for each in zip(*grades, strict=True))
        parts.append((plays.game_id, plays.play_id, pit, score))
    game, play, pit, score = (np.concatenate(each) for each in zip(*parts, strict=True))
    law = law.select(game, play)
    true = law.pmf(support)
    middle = np.cumsum(true, axis=1) - true / 2
    return law, {"pit": pit, "score": score, f"{TRUE}pit": middle, f"{TRUE}score": normal(middle)}


@jax.jit
def _grade(distribution: Any, yards: jax.Array, cut: jax.Array) -> tuple[jax.Array, jax.Array]:
    return mid_pit(distribution, yards, cut=cut), normal_score(distribution, yards, cut=cut)
