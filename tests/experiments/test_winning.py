"""Sentences on ratings against winning and true skill: which rating leads, paired by league."""

import numpy as np
import polars as pl
import pytest

from experiments.winning.page import Recovery, Winning
from sbp_jax.scoring.winning import correlations

LEAGUES = 40


def recovery(lead, leagues=LEAGUES):
    """Ours and a baseline that differ by `lead` in every league up to small noise; leagues differ much more."""
    r = np.random.default_rng(0)
    rows = []
    for attempts in (50, 100):
        league = 0.6 + 0.2 * r.standard_normal(leagues)
        for name, more in (("ours", lead), ("baseline", 0.0), ("worse", -0.1), ("bound", 0.2)):
            values = league + more + 0.01 * r.standard_normal(leagues)
            rows.append(pl.DataFrame({"attempts": attempts, "league": range(leagues), "rating": name, "value": values}))
    return Recovery("Skill", "About.", pl.concat(rows), ("ours",), ("bound",))


@pytest.mark.parametrize(
    ("lead", "verdict"), [(0.05, "ahead of"), (-0.05, "behind"), (0.0, "no significant difference from")]
)
def test_the_verdict_is_paired_by_league_and_no_bound_is_a_baseline(lead, verdict):
    table = recovery(lead)
    (sentence,) = table.headline().sentences
    assert sentence.startswith(f"Ours against the best baseline: {verdict} baseline at 50 (")
    expected = (table.of("ours", 50) - table.of("baseline", 50)).mean()
    assert f"({expected:+.3f} ± " in sentence
    text = "\n".join(table.report())
    error = table.of("ours", 100).std(ddof=1) / np.sqrt(LEAGUES)
    assert f"{table.value('ours', 100):.3f} ± {error:.3f}" in text
    assert "bound" not in sentence


def test_one_league_shows_no_significant_difference():
    (sentence,) = recovery(0.5, leagues=1).headline().sentences
    assert "no significant difference from baseline at 50 (" in sentence


def test_the_drawing_is_written(tmp_path):
    recovery(0.1).drawing(tmp_path / "skill.png")
    assert (tmp_path / "skill.png").read_bytes().startswith(b"\x89PNG")


def winning(**kinds):
    r = np.random.default_rng(0)
    wins = r.standard_normal(300)
    noise = {"ours": 1.0, "baseline": 2.0, "sibling": 0.5, "bound": 0.3}
    ratings = {name: wins + scale * r.standard_normal(300) for name, scale in noise.items()}
    table = pl.DataFrame({"team": np.arange(300) % 30, "win_pct": wins, **ratings})
    rows = [{"period": "all", **vars(each)} for each in correlations(table, list(noise), ["win_pct"], "ours", 200)]
    return Winning("Winning", "About.", pl.DataFrame(rows), "ours", **kinds)


def test_neither_bounds_nor_other_ratings_of_ours_are_baselines():
    (sentence,) = winning(known=("bound",), siblings=("sibling",)).headline().sentences
    assert "ours" in sentence
    assert "is ahead of the best baseline, baseline (" in sentence
    (sentence,) = winning(known=("bound",)).headline().sentences
    assert "is behind the best baseline, sibling (" in sentence


def test_the_drawing_of_correlations_is_written(tmp_path):
    winning().drawing(tmp_path / "winning.png")
    assert (tmp_path / "winning.png").read_bytes().startswith(b"\x89PNG")
