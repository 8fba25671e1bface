"""True skill by attempts in words: who leads, by leagues in pairs."""

import numpy as np
import polars as pl
import pytest

from sbp_jax.reporting.winning import Recovery, recovery_drawing, recovery_headline, recovery_report

LEAGUES = 40


def recovery(lead, leagues=LEAGUES):
    """Ours and a rival that differ by `lead` in every league, up to a little, while leagues differ much."""
    r = np.random.default_rng(0)
    rows = []
    for attempts in (50, 100):
        league = 0.6 + 0.2 * r.standard_normal(leagues)
        for name, more in (("ours", lead), ("rival", 0.0), ("worse", -0.1), ("bound", 0.2)):
            values = league + more + 0.01 * r.standard_normal(leagues)
            rows.append(pl.DataFrame({"attempts": attempts, "league": range(leagues), "rating": name, "value": values}))
    return Recovery("Skill", "About.", pl.concat(rows), ("ours",), ("bound",))


@pytest.mark.parametrize(("lead", "verdict"), [(0.05, "ahead of"), (-0.05, "behind"), (0.0, "not told from")])
def test_the_verdict_is_of_pairs_and_no_bound_is_a_rival(lead, verdict):
    found = recovery(lead)
    (said,) = recovery_headline(found).sentences
    assert said.startswith(f"Ours against the best rival: {verdict} rival at 50 attempts (")
    expected = (found.of("ours", 50) - found.of("rival", 50)).mean()
    assert f"({expected:+.3f} ± " in said
    text = "\n".join(recovery_report(found))
    error = found.of("ours", 100).std(ddof=1) / np.sqrt(LEAGUES)
    assert f"{found.value('ours', 100):.3f} ± {error:.3f}" in text
    assert "bound" not in said


def test_one_league_tells_nothing():
    (said,) = recovery_headline(recovery(0.5, leagues=1)).sentences
    assert "not told from rival at 50 attempts" in said


def test_the_drawing_is_written(tmp_path):
    recovery_drawing(tmp_path / "skill.png", recovery(0.1))
    assert (tmp_path / "skill.png").read_bytes().startswith(b"\x89PNG")
