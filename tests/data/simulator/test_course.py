"""`course`: the distribution follows from the frames up to the release, and is the one that outcomes have."""

import numpy as np
import polars as pl
import pytest
from scipy import stats

from sbp_jax.data.simulator.course import Coefficients
from sbp_jax.data.simulator.simulate import SimulationConfig, TrueDistribution, simulate
from sbp_jax.errors import InputError
from tests.data.simulator.files import PLAY, check_story, event_frame

SHOULDERS = np.array([20.4, 30.6, 39.0, 46.8, 51.0, 54.6, 54.0])  # 0.2 to 0.8 s before the release


@pytest.fixture(scope="module")
def course_truth(course_folder) -> pl.DataFrame:
    return pl.read_parquet(course_folder / "truth" / "plays.parquet")


def tracks(tracking: pl.DataFrame, plays: pl.DataFrame, count: int):
    """Of each of the first plays: key, line, tracks by slot (passer, eligible by number, defense), and release row."""
    release = event_frame(tracking, "pass_forward")
    for (game, play), people in tracking.filter(pl.col("team") != "football").group_by(PLAY, maintain_order=True):
        listed = plays.filter((pl.col("gameId") == int(game)) & (pl.col("playId") == int(play)))
        left = people["playDirection"][0] == "left"
        line = float(listed["absoluteYardlineNumber"][0])
        bodies = {}
        for (player,), track in people.sort("frameId").group_by("nflId", maintain_order=True):
            x, y, o = (track[name].to_numpy() for name in ("x", "y", "o"))
            if left:
                x, y, o = 120 - x, 53.3 - y, o + 180
            place = np.stack([x - (120 - line if left else line), y - 26.65], axis=1)
            bodies[int(player)] = (track["position"][0], track["team"][0], place, o)
        side = next(team for position, team, _, _ in bodies.values() if position == "QB")
        at = release.filter((pl.col("gameId") == game) & (pl.col("playId") == play))["pass_forward"][0]
        yield int(game), int(play), listed, bodies, side, int(at) - 1
        count -= 1
        if not count:
            return


def test_what_is_seen_can_be_recomputed_from_the_files(course_folder, course_truth):
    tracking = pl.read_parquet(course_folder / "tracking_week_01.parquet")
    plays = pl.read_csv(course_folder / "plays.csv")
    for game, play, listed, bodies, side, end in tracks(tracking, plays, 60):
        truth = course_truth.filter((pl.col("gameId") == game) & (pl.col("playId") == play)).row(0, named=True)
        defense = np.stack([place for _, team, place, _ in bodies.values() if team != side], axis=1)
        passer, aim = next((place, o) for position, _, place, o in bodies.values() if position == "QB")
        target = bodies[truth["target_nflId"]][2]

        def gap(place, frames, defense=defense):
            return np.array([np.hypot(*(defense[f] - place[f]).T).min() for f in frames])

        last = end - np.arange(15)
        separation = np.clip(gap(target, end - np.arange(16)), 0.3, 9)
        assert truth["seen_separation"] == pytest.approx(separation[0], abs=1e-9)
        opened = 0.1 * (0.5 + 0.5 * np.tanh((separation[:15] - 2) / 0.25)).sum()
        assert truth["seen_open_s"] == pytest.approx(opened, abs=1e-9)
        assert truth["seen_opening"] == pytest.approx(separation[0] - separation[10], abs=1e-9)
        window = np.arange(end, max(end - 25, 14), -1)  # from half a second after the snap
        near = np.clip(gap(passer, window), 0.8, 8)
        assert truth["seen_gap"] == pytest.approx(near[0], abs=1e-9)
        assert truth["seen_pressure_s"] == pytest.approx(
            0.1 * (0.5 + 0.5 * np.tanh((3.5 - near) / 0.25)).sum(), abs=1e-9
        )
        assert truth["seen_feet"] == pytest.approx(
            np.hypot(*np.diff(passer[end - 5 : end + 1], axis=0).T).mean() * 10, abs=1e-9
        )
        looked = end - np.arange(2, 9)
        bearing = np.rad2deg(np.arctan2(*(target - passer)[looked].T))  # clockwise from downfield's left
        error = (aim[looked] - SHOULDERS - bearing + 180) % 360 - 180
        assert truth["seen_turn"] == pytest.approx(abs(error.mean()), abs=1e-6)
        flight = min(1.4, 0.15 + np.hypot(*(target - passer)[end]) / 20)
        depth = target[end, 0] + (target[end, 0] - target[end - 5, 0]) / 0.5 * flight
        to_goal = 100 - listed["yardlineNumber"][0] if truth["yards_to_goal"] > 50 else listed["yardlineNumber"][0]
        assert truth["seen_depth"] == pytest.approx(min(depth, to_goal + 9), abs=1e-9)
        moves = [
            np.hypot(*(target[end - k + 3] - 2 * target[end - k] + target[end - k - 3])) ** 4 + 1e-9
            for k in range(3, 19)
        ]
        assert truth["seen_break_s"] == pytest.approx(0.1 * np.average(np.arange(3, 19), weights=moves), abs=1e-6)
        deepest = np.argsort(defense[10, :, 0])[-2:]
        assert truth["seen_rotation"] == pytest.approx((defense[22] - defense[10])[deepest, 1].mean(), abs=1e-9)
        back = min(
            (place for position, team, place, _ in bodies.values() if team == side and position in BACKS),
            key=lambda place: place[10, 0],
        )
        met = np.hypot(*(passer - back)[13:23].T).min()
        assert truth["seen_fake"] == pytest.approx(0.5 + 0.5 * np.tanh((1.15 - met) / 0.08), abs=1e-6)
        assert last[-1] > 0


BACKS = ("WR", "TE", "RB", "FB")


def tell_the_story(row: dict, count: int, generator: np.random.Generator, skill: float | None):
    """Yards and net yards of `count` passes, drawn from nothing but the formulas on the page of the simulator."""
    z = generator.standard_normal(count) if skill is None else skill
    receiver = generator.choice(5, count, p=np.asarray(row["target_probability"]))

    def of(name):
        return np.asarray(row[name])[receiver]

    phi = stats.norm.cdf
    complete = generator.random(count) < phi(of("completion") + 0.09 * z)
    intercepted = ~complete & (generator.random(count) < phi(of("interception") - 0.06 * z))
    depth, short, far = of("depth_yards"), of("short_yards"), of("long_yards")
    error = np.where(generator.random(count) < short / (short + far), -short, far) * generator.exponential(size=count)
    catch = np.clip(np.rint(depth + error), np.rint(depth) - 20, np.rint(depth) + 20)
    run = of("run_yards")
    stopped = np.rint(generator.laplace(0.4, 0.8, count))
    free = np.floor(run * stats.fisk(3.2).rvs(count, random_state=generator))
    away = np.rint(run) + np.floor(stats.genpareto(0.35, scale=14).rvs(count, random_state=generator))
    is_stopped = generator.random(count) < phi(of("tackled") - 0.03 * z)
    is_away = generator.random(count) < phi(of("breakaway") + 0.03 * z)
    gain = catch + np.where(is_stopped, stopped, np.where(is_away, away, free))
    gain = np.clip(gain, -min(12, 100 - row["yards_to_goal"]), row["yards_to_goal"])
    yards = np.where(complete, gain, 0).astype(int)
    returned = 1 + np.floor(stats.genpareto(0.1, scale=14).rvs(count, random_state=generator))
    returned = np.minimum(np.where(generator.random(count) < 0.4, 0, returned), of("return_limit_yards"))
    return yards, np.where(intercepted, -returned, yards).astype(int)


@pytest.mark.parametrize("skill", [None, -1.5, 1.0])
def test_closed_form_matches_sampling_of_the_story(course_folder, course_truth, skill):
    picked = course_truth.sort("seen_depth")[[0, 100, 500, 900, 1150, 1199]]
    picked = pl.concat([picked, course_truth.sort("yards_to_goal")[[0, 10, 1199]]])
    check_story(course_folder, picked, tell_the_story, skill, count=100_000, seed=321)


@pytest.mark.parametrize(("outcome", "column"), [("yards", "offensePlayResult"), ("net_yards", "playResult")])
@pytest.mark.parametrize("skill", [None, "true"])
def test_simulated_yards_follow_the_distribution(course_folder, outcome, column, skill):
    plays = pl.read_csv(course_folder / "plays.csv")
    dist = TrueDistribution.read(course_folder, outcome=outcome, skill=skill)
    pmf = dist.pmf(dist.support())
    assert pmf.min() >= -1e-15
    assert np.abs(pmf.sum(axis=1) - 1).max() < 1e-12
    yards = plays[column].to_numpy().astype(float)
    below, through = dist.cdf(yards - 1), dist.cdf(yards)
    pit = below + np.random.default_rng(1).random(len(yards)) * (through - below)
    assert stats.kstest(pit, "uniform").pvalue > 1e-3
    assert (through > below).all()


def test_redrawn_outcomes_follow_the_distribution_of_that_skill(course_folder):
    dist = TrueDistribution.read(course_folder, skill=2.0)
    yards = dist.redrawn(np.full(len(dist), 2.0), seed=5).yards
    below, through = dist.cdf(yards - 1.0), dist.cdf(yards * 1.0)
    pit = below + np.random.default_rng(1).random(len(yards)) * (through - below)
    assert stats.kstest(pit, "uniform").pvalue > 1e-3


def test_shoulders_rarely_point_at_the_receiver(course_truth):
    """On 130 real passes, the receiver has the nearest bearing to the shoulders at the release in 45 %."""
    probability = np.stack(course_truth["target_probability"].to_numpy())
    np.testing.assert_allclose(probability.sum(axis=1), 1, atol=1e-12)
    assert 0.6 < probability.max(axis=1).mean() < 0.85


def test_the_course_matters_beyond_what_the_release_shows(course_truth):
    """Of the quantities of the play as a whole, a linear read-out of those at the release explains little."""
    seen = ("seen_separation", "seen_gap", "seen_away", "seen_side", "seen_depth")
    design = np.column_stack([course_truth.select(seen).to_numpy(), np.ones(course_truth.height)])
    for name in ("seen_open_s", "seen_opening", "seen_break_s", "seen_pressure_s", "seen_feet", "seen_rotation"):
        value = course_truth[name].to_numpy()
        residual = value - design @ np.linalg.lstsq(design, value, rcond=None)[0]
        assert residual.std() > 0.4 * value.std(), name
    assert 0.05 < (course_truth["seen_fake"].to_numpy() > 0.5).mean() < 0.4


def test_perturbed_sizes(tmp_path):
    usual, other = Coefficients(), Coefficients.perturbed(3)
    ratio = np.array([getattr(other, name) / getattr(usual, name) for name in vars(usual)])
    assert ratio.min() >= 0.7
    assert ratio.max() <= 1.3
    assert ratio.std() > 0.1
    assert Coefficients.perturbed(3) == other != Coefficients.perturbed(4)
    assert Coefficients.perturbed(None) == usual
    folders = [
        simulate(tmp_path / str(perturb), SimulationConfig(plays=60, seed=2, distribution="course", perturb=perturb))
        for perturb in (None, 3)
    ]
    tables = [pl.read_parquet(folder / "truth" / "plays.parquet") for folder in folders]
    same = ["gameId", "playId", "skill", "depth_yards", "release_frames"]
    assert tables[0].select(same).equals(tables[1].select(same))
    assert not tables[0].select("completion").equals(tables[1].select("completion"))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"perturb": 1}, "perturb: expected a seed of at least 0, with distribution 'course', got 1"),
        ({"perturb": -1, "distribution": "course"}, "perturb: expected a seed of at least 0"),
    ],
)
def test_wrong_configurations_are_named(wrong, message):
    with pytest.raises(InputError, match=message):
        SimulationConfig(**wrong)
