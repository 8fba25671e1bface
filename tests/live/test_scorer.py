"""The live scorer: equal to its run, play by play and row by row, and its errors for bad input."""

import jax.numpy as jnp
import numpy as np
import polars as pl
import pytest

from sbp_jax.errors import InputError
from sbp_jax.live import LiveScorer
from sbp_jax.live.programs import programs_of
from sbp_jax.scoring import LEAGUE_PATH, League
from tests.live.runs import STATICS, small_plays, small_run
from tests.slow import marked

pytestmark = pytest.mark.unoptimized


@pytest.fixture(scope="module")
def run():
    return small_run()


@pytest.fixture(scope="module")
def plays():
    return small_plays()


@pytest.fixture(scope="module")
def scorer(run):
    return LiveScorer.from_run(run, batch=3)


@pytest.fixture(scope="module")
def rows(run):
    return LiveScorer.from_run(run, batch=3)


def test_it_equals_the_run_frame_by_frame(run, plays, scorer):
    medians, table = np.asarray(run.unfold(plays).median()), run.score(plays)
    for play, row in enumerate(table.iter_rows(named=True)):
        scorer.reset(plays.static[play])
        frames = plays.unfolded(play)
        for t, frame in enumerate(frames):
            last = scorer.push(frame)
            assert (last.frames, last.seconds) == (t + 1, pytest.approx(0.1 * t))
            assert last.median == pytest.approx(medians[play, t], rel=1e-5, abs=1e-4)
        assert scorer.summary() == last
        score, at_once = scorer.finish(row["outcome"]), scorer.score_play(frames, plays.static[play], row["outcome"])
        for each in (score, at_once):
            for name in ("outcome", "median", "pit", "pit_low", "pit_high", "score"):
                assert getattr(each, name) == pytest.approx(row[name], rel=1e-4, abs=2e-5), name
            assert each.passing_score is None
        assert scorer.whole_play(frames, plays.static[play]).median == pytest.approx(last.median, abs=1e-4)


@pytest.mark.slow
def test_rows_of_plays_at_different_frames_do_not_mix(plays, scorer, rows):
    alone = []
    for play in range(len(plays)):
        scorer.reset(plays.static[play])
        alone.append([scorer.push(frame) for frame in plays.unfolded(play)])
    random = np.random.default_rng(0)
    waiting, open_rows, received = list(range(len(plays))), {}, {}
    while waiting or open_rows:
        for row in set(range(3)) - set(open_rows):
            if waiting and random.random() < 0.5:
                play = waiting.pop(0)
                rows.reset(plays.static[play], row)
                open_rows[row], received[play] = play, []
        pushed = {r: plays.unfolded(p)[len(received[p])] for r, p in open_rows.items() if random.random() < 0.6}
        for row, last in rows.push_many(pushed).items():
            received[open_rows[row]].append(last)
        for row, play in list(open_rows.items()):
            if len(received[play]) == len(alone[play]):
                assert rows.summary(row) == received[play][-1]
                rows.finish(plays.outcome[play], row)
                del open_rows[row]
    for play, summaries in enumerate(alone):
        for ours, theirs in zip(received[play], summaries, strict=True):
            assert ours.frames == theirs.frames
            assert ours.median == pytest.approx(theirs.median, rel=1e-5, abs=1e-4)
            assert ours.first_down == pytest.approx(theirs.first_down, abs=1e-5)


@pytest.mark.slow
def test_the_numbers_are_those_of_the_distribution(run, plays, scorer):
    for play in range(4):
        frames, static = plays.unfolded(play), plays.static[play]
        latent = run.predict_latent(plays.select(np.array([play])))
        known = dict(zip(STATICS, static, strict=True))
        scorer.reset(static)
        for frame in frames:
            last = scorer.push(frame)
        cells = scorer.distribution()
        yards = np.arange(-40, 101)
        np.testing.assert_array_equal(cells.centers, yards)
        below = np.asarray(latent.cdf(jnp.asarray(yards[:-1, None] + 0.5)), np.float64)[:, 0]
        expected = np.diff(np.concatenate([[0.0], below, [1.0]]))
        goal = 20 if not known["yards_to_goal_missing"] else 100
        np.testing.assert_allclose(cells.probability[yards < goal], expected[yards < goal], atol=3e-6)
        assert cells.probability[yards > goal].sum() == 0
        assert cells.probability[yards == goal][0] == pytest.approx(expected[yards >= goal].sum(), abs=3e-6)
        assert cells.probability.sum() == pytest.approx(1, abs=1e-5)
        mean = np.sum(np.minimum(yards, goal) * expected)
        assert last.expected == pytest.approx(mean, abs=2e-3)
        assert last.loss == pytest.approx(float(latent.cdf(-0.5)[0]), abs=1e-6)
        for name, field, at in (("first_down", "distance", 5), ("touchdown", "yards_to_goal", 20)):
            if known[f"{field}_missing"]:
                assert getattr(last, name) is None
            else:
                assert getattr(last, name) == pytest.approx(float(latent.survival_function(at - 0.5)[0]), abs=1e-6)
        for level, value in last.quantiles.items():
            # the least integer with that probability, at most the goal line
            assert value == min(np.ceil(float(latent.icdf(level)[0]) - 0.5), goal)


@pytest.mark.slow
def test_nothing_is_compiled_after_construction(plays, run):
    fresh = LiveScorer.from_run(run, batch=2)
    before = {name: call._cache_size() for name, call in fresh._call.items()}
    assert all(before.values())
    for play in range(3):
        fresh.reset(dict(zip(STATICS[:8], plays.static[play][:8], strict=True)), 1)
        for frame in plays.unfolded(play):
            fresh.push(frame, 1)
        fresh.distribution(1)
        fresh.finish(3, 1)
        fresh.score_play(plays.unfolded(play), plays.static[play], 3)
    assert {name: call._cache_size() for name, call in fresh._call.items()} == before


@pytest.mark.slow
def test_the_goal_line_bounds_the_summary_of_any_run(plays):
    run = small_run()
    scorer = LiveScorer.from_run(run)
    scorer.reset({"distance": 3, "yards_to_goal": 3})
    for frame in plays.unfolded(0):
        last = scorer.push(frame)
    assert max(last.quantiles.values()) <= 3
    assert last.first_down == last.touchdown
    cells = scorer.distribution()
    assert cells.probability[cells.centers > 3].sum() == 0
    assert cells.probability[cells.centers == 3][0] == pytest.approx(last.touchdown, abs=1e-6)
    assert scorer.finish(3).pit_high == 1.0
    scorer.reset({"distance": 3, "yards_to_goal": 3})
    scorer.push(plays.unfolded(0)[0])
    assert scorer.finish(3, touchdown=False).pit_high < 1.0


@pytest.mark.slow
def test_an_outcome_that_is_not_a_gain_in_yards_has_neither_first_down_nor_goal_line(plays):
    run = small_run(outcome="epa", integer=False, objective="exact")
    scorer = LiveScorer.from_run(run)
    scorer.reset({"distance": 3, "yards_to_goal": 3})
    last = scorer.push(plays.unfolded(0)[0])
    assert last.first_down is last.touchdown is last.loss is None
    cells = scorer.distribution()
    assert cells.probability.sum() == pytest.approx(1, abs=1e-5)
    score = scorer.finish(1.25)
    assert score.pit_low == score.pit == score.pit_high


@pytest.mark.slow
@pytest.mark.parametrize("kind", marked(["gaussian", "binned"], ["binned"]))
def test_every_head_has_its_numbers(plays, kind):
    run = small_run(kind=kind, encoder="flat")
    scorer = LiveScorer.from_run(run)
    scorer.reset(plays.static[0])
    for frame in plays.unfolded(0):
        last = scorer.push(frame)
    assert last.median == pytest.approx(float(run.predict(plays.select(np.array([0]))).median()[0]), rel=1e-5, abs=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("where", marked(["run", "crossfit", "given"], ["given"]))
def test_the_passing_score_is_by_the_league_that_was_saved(tmp_path, plays, where):
    league = League(0.1, 0.04, 0.09, 1.0, {"play": 0.9, "game": 0.3}, 100)
    path = {"run": tmp_path / "x" / "run" / LEAGUE_PATH, "crossfit": tmp_path / "x" / LEAGUE_PATH}
    file = path.get(where, tmp_path / "league.json")
    league.save(file)
    scorer = LiveScorer.from_run(small_run(tmp_path / "x" / "run"), league=file if where == "given" else None)
    score = scorer.score_play(plays.unfolded(0), plays.static[0], 8)
    assert score.passing_score == pytest.approx(league.passing_score(np.array([score.score]), "play")[0], abs=1e-4)
    with pytest.raises(InputError, match=r"other\.json"):
        programs_of(small_run(), tmp_path / "other.json")


def frame_with(value, player=3, column=2):
    frame = np.zeros((22, 8))
    frame[player, column] = value
    return frame


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda s: s.push(np.zeros((22, 8)), 1), "row 1: has no play; call reset first"),
        (lambda s: s.push(np.zeros((22, 8)), 3), "row: expected an integer from 0 to 2, got 3"),
        (lambda s: s.push(np.zeros((22, 8)), True), "row: expected an integer"),
        (
            lambda s: s.push(np.zeros((21, 8))),
            r"frame of row 0: expected shape \(22, 8\), one player per row, got \(21, 8\)",
        ),
        (
            lambda s: s.push(frame_with(np.nan)),
            "frame of row 0: player 3: vx: expected a number of at most 1e\\+06 in absolute value, or NaN in all",
        ),
        (lambda s: s.push(frame_with(np.inf)), "frame of row 0: player 3: vx: expected a number of at most 1e\\+06"),
        (lambda s: s.push(frame_with(1e300)), "frame of row 0: player 3: vx: expected a number of at most 1e\\+06"),
        (lambda s: s.push(np.ones((22, 8), bool)), "frame of row 0: expected an array of numbers"),
        (
            lambda s: s.push(np.ma.masked_array(np.zeros((22, 8)))),
            "frame of row 0: expected an array of numbers, got a",
        ),
        (lambda s: s.push(pl.DataFrame(np.zeros((22, 8)))), "expected an array of numbers, got a DataFrame"),
        (lambda s: s.push(np.zeros((22, 8), "m8[s]")), "frame of row 0: expected an array of numbers"),
        (
            lambda s: s.reset({"yards_to_goal": 1e5}),
            "static: yards_to_goal: expected from 0 to 110 yards, got 100000.0",
        ),
        (lambda s: s.reset({"distance": -1}), "static: distance: expected from 0 to 110 yards, got -1"),
        (lambda s: s.reset(None), "static: expected a mapping by name or 16 numbers, got None"),
        (lambda s: s.push(frame_with(2e6)), "frame of row 0: player 3: vx: expected a number of at most"),
        (lambda s: s.reset({"down": True}), "static: down: expected a number of at most"),
        (lambda s: s.push([["1"] * 8] * 22), "frame of row 0: expected an array of numbers"),
        (lambda s: s.push([[1.0] * 8] * 21 + [[1.0]]), "frame of row 0: expected an array of numbers"),
        (lambda s: s.push_many({0: np.zeros((22, 8)), 2: np.zeros((22, 8))}), "row 2: has no play"),
        (lambda s: s.reset({"downs": 3}), "static: unknown 'downs'; known: down, distance, yards_to_goal"),
        (
            lambda s: s.reset({"down": "3"}),
            "static: down: expected a number of at most 1e\\+06 in absolute value, got '3'",
        ),
        (lambda s: s.reset({"down": np.nan}), "static: down: expected a number of at most"),
        (lambda s: s.reset(np.zeros(5)), r"static: expected 16 numbers or a mapping by name, got \(5,\)"),
        (
            lambda s: s.reset(np.full(16, np.inf)),
            "static: down: expected a number of at most 1e\\+06 in absolute value, got inf",
        ),
        (lambda s: s.finish(3), "row 0: its play has no frame yet"),
        (lambda s: s.distribution(), "row 0: its play has no frame yet"),
        (lambda s: s.summary(2), "row 2: has no play"),
        (lambda s: s.whole_play(np.zeros((0, 22, 8))), r"frames: expected shape \[T, 22, 8\], got \(0, 22, 8\)"),
        (lambda s: s.whole_play(np.zeros((22, 8))), r"frames: expected shape \[T, 22, 8\], got \(22, 8\)"),
        (lambda s: s.score_play(np.zeros((2, 22, 8)), (), 2.5), "outcome: expected an integer, got 2.5"),
        (
            lambda s: s.score_play(np.zeros((2, 22, 8)), (), "7"),
            "outcome: expected a number of at most 1e\\+06 in absolute value, got '7'",
        ),
        (lambda s: s.score_play(np.stack([frame_with(0), frame_with(np.nan)]), (), 2), "frames: frame 1, player 3: vx"),
    ],
)
def test_bad_input_is_named_and_changes_nothing(scorer, plays, call, message):
    scorer.reset(plays.static[0], 0)
    scorer._frames[1] = scorer._frames[2] = -1
    with pytest.raises(InputError, match=message) as caught:
        call(scorer)
    assert "\n" not in str(caught.value)
    assert scorer.push(np.zeros((22, 8)), 0).frames == 1


def test_the_edges_of_a_distribution_are_read_only(scorer, plays):
    scorer.reset(plays.static[0])
    scorer.push(np.zeros((22, 8)))
    with pytest.raises(ValueError, match="read-only"):
        scorer.distribution().edges[:] = 0


def test_a_play_that_ended_takes_no_more_frames(scorer, plays):
    scorer.reset(plays.static[0])
    scorer.push(plays.unfolded(0)[0])
    with pytest.raises(InputError, match="outcome: expected an integer"):
        scorer.finish(0.5)
    scorer.finish(0)  # the play was still there
    with pytest.raises(InputError, match="row 0: has no play"):
        scorer.push(plays.unfolded(0)[0])


def test_what_cannot_be_unfolded_is_refused(run):
    with pytest.raises(InputError, match="expected a run that uses frames"):
        programs_of(small_run(encoder="none"))
    with pytest.raises(InputError, match="batch: expected an integer of at least 1, got 0"):
        LiveScorer.from_run(run, batch=0)
    with pytest.raises(InputError, match="nowhere"):
        LiveScorer.from_run("nowhere")
