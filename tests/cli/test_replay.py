"""Replays in the terminal: every frame is scored and printed, the score is the run's, pictures, and bad options."""

import io
import re
from functools import partial

import numpy as np
import pytest
from rich.console import Console

from sbp_jax.cli.replay import command
from sbp_jax.errors import InputError
from sbp_jax.live import LiveScorer, replay
from sbp_jax.live.programs import programs_of
from sbp_jax.reporting.sketch import UNICODE
from sbp_jax.runs import play_selection
from sbp_jax.runs import score as runs_score
from sbp_jax.runs.run import Run
from sbp_jax.runs.score import Target
from tests.live.runs import small_plays, small_run

pytestmark = pytest.mark.unoptimized

COUNT = 20


@pytest.fixture(scope="module")
def run():
    return small_run(encoder="flat")  # the fastest to compile


@pytest.fixture(scope="module")
def scorer(run):
    programs = programs_of(run)
    functions = {name: partial(call, programs.weights) for name, call in programs.functions.items()}
    return LiveScorer(functions, {**programs.spec, "league": [0.1, 0.9]}, 1)


@pytest.fixture(scope="module")
def plays():
    return small_plays(COUNT, seed=3)


@pytest.fixture
def opened(run, scorer, plays, monkeypatch):
    """The command with its run in memory: all plays are test plays."""
    parts = {"train": [], "validation": [], "test": np.arange(COUNT)}
    monkeypatch.setattr(Run, "plays", lambda self, split: plays.select(np.array(parts[split], np.int64)))
    monkeypatch.setattr(runs_score, "open_target", lambda path, trust=False: Target(path, (run,), None))
    monkeypatch.setattr(LiveScorer, "from_run", lambda path: scorer)
    return lambda *words: command(["run", *words])


def frames(plays, play):
    return int(plays.lengths[play])


@pytest.mark.slow
@pytest.mark.parametrize("play", [0, 13, 19])
def test_plain_output_has_a_line_a_frame_and_the_score_of_the_run(opened, run, plays, capsys, play):
    opened(f"{plays.game_id[play]}/{play}", "--speed", "0")
    title, *lines, last = capsys.readouterr().out.splitlines()
    assert title == f"Passer {play % 7} · game {plays.game_id[play]} · play {play}"
    assert [line.split()[0] for line in lines] == [f"{t / 10:.1f}" for t in range(frames(plays, play))]
    row = run.score(plays).row(play, named=True)
    assert float(re.search(r"median +([-\d.]+)", lines[-1])[1]) == pytest.approx(row["median"], abs=0.06)
    assert last.startswith(f"actual {row['outcome']:g} yards, PIT ")
    numbers = [float(number) for number in re.findall(r"(?:PIT|play score) ([-+\d.]+)", last)]
    assert numbers == [pytest.approx(row["pit"], abs=6e-4), pytest.approx(row["score"], abs=6e-4)]
    assert re.search(r"passing score \d\d\.\d$", last)


@pytest.mark.slow
def test_best_worst_random_and_a_play_id_alone(opened, run, plays, capsys):
    scores = run.score(plays)["score"].to_numpy()
    for word, play in (("best", scores.argmax()), ("worst", scores.argmin()), ("7", 7)):
        opened(word, "--speed", "0")
        assert f"play {play}\n" in capsys.readouterr().out
    drawn = set()
    for seed in range(3):
        for _ in range(2):
            opened("random", "--speed", "0", "--seed", str(seed))
        one, two = re.findall(r"play \d+$", capsys.readouterr().out, re.M)
        assert one == two
        drawn.add(one)
    assert len(drawn) > 1


@pytest.mark.slow
def test_the_list_shows_existing_plays(opened, run, plays, capsys):
    opened("list")
    head, *lines, last = capsys.readouterr().out.splitlines()
    assert head.split() == ["game/play", "passer", "down", "outcome", "score"]
    assert len(lines) == play_selection.LISTED
    assert last == f"20 of {COUNT} plays; --seed draws others"
    scores = run.score(plays)["score"].to_numpy()
    for line in lines:
        game, play = map(int, line.split()[0].split("/"))
        assert game == plays.game_id[play]
        assert float(line.split()[-1]) == pytest.approx(scores[play], abs=0.006)
        assert len(line) <= 80


def test_the_picture_is_whole(opened, plays, tmp_path, capsys):
    play = int(plays.lengths.argmax())
    opened(str(play), "--svg", str(tmp_path / "new" / "end.svg"))
    opened(str(play), "--svg", str(tmp_path / "begin.svg"), "--at", "0.2")
    end, begin = (path.read_text() for path in (tmp_path / "new" / "end.svg", tmp_path / "begin.svg"))
    assert "end.svg: Passer" in capsys.readouterr().out
    assert "passing&#160;score" in end
    assert "passing&#160;score" not in begin
    assert "0.2&#160;s" in begin
    for text in (end, begin):
        assert not re.search(r"url\(\"|@font-face|href", text)
        assert len(text) < 100_000
    with pytest.raises(InputError, match=r"--at: expected 0 to \d\.\d seconds, the duration of the play, got 99"):
        opened(str(play), "--svg", str(tmp_path / "late.svg"), "--at", "99")


def screen():
    return Console(file=io.StringIO(), force_terminal=True, width=80, height=24, color_system="truecolor")


def selected(run, plays, play):
    return play_selection.Found(run, plays, play)


def test_the_screen_is_left_as_it_was(run, scorer, plays):
    console = screen()
    replay.show(replay.Replay(scorer, selected(run, plays, 7)), console, 0.0, UNICODE)
    text = console.file.getvalue()
    assert text.index("\x1b[?1049h") < text.index("\x1b[?1049l") < text.index("passing score")
    assert text.rindex("\x1b[?25l") < text.rindex("\x1b[?25h")


def test_an_interrupt_gives_the_screen_back(run, scorer, plays, monkeypatch):
    console = screen()
    started = replay.Replay(scorer, selected(run, plays, int(plays.lengths.argmax())))

    def stop(frame, push=started.push):
        if frame == 3:
            raise KeyboardInterrupt
        push(frame)

    monkeypatch.setattr(started, "push", stop)
    with pytest.raises(KeyboardInterrupt):
        replay.show(started, console, 0.0, UNICODE)
    text = console.file.getvalue()
    assert text.rindex("\x1b[?1049h") < text.rindex("\x1b[?1049l")
    assert text.rindex("\x1b[?25l") < text.rindex("\x1b[?25h")


class Clock:
    """A clock that advances with work and sleep."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


@pytest.mark.parametrize(
    ("speed", "work", "paint", "took", "drawn"),
    [
        (1.0, 0.001, 0.01, 3.9, 40),  # in time
        (2.0, 0.001, 0.01, 1.95, 40),
        (1.0, 0.001, 0.15, 3.9, 27),  # a slow terminal: some frames are left out, and the clock stays right
        (1.0, 0.2, 0.0, 8.0, 21),  # a slow network: the replay is late, but all frames are scored
        (0.0, 0.01, 0.0, 0.4, 3),
    ],
)
def test_frames_come_at_their_time_and_none_is_left_out(speed, work, paint, took, drawn):
    clock, scored, painted = Clock(), [], []
    for frame, wanted in replay.paced(40, speed, clock, clock.sleep):
        if speed:
            assert clock.now >= frame * 0.1 / speed - 1e-9
        clock.now += work
        scored.append(frame)
        if wanted():
            painted.append(frame)
            clock.now += paint
    assert scored == list(range(40))
    assert {0, 39} <= set(painted)
    assert clock.now == pytest.approx(took, abs=0.35)
    assert len(painted) == pytest.approx(drawn, abs=3)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["1/999"], "1/999: no such play among the 20 of all; the nearest is 1/19"),
        (["999"], "999: no such play among the 20 of all; the nearest is 1/19"),
        (["bset"], "bset: expected GAME/PLAY_ID, a play_id, random, best, worst or list; for example 0/0"),
        (["7", "--speed", "-1"], "--speed: expected 0, or 0.001 or more, got -1"),
        (["7", "--speed", "nan"], "--speed: expected 0, or 0.001 or more"),
        (["7", "--at", "1"], "--at: sets the time of a picture"),
        (["7", "--svg", "a.svg", "--at", "nan"], "--at: expected 0 or more seconds"),
        (["7", "--of", "validation"], "--of: there are no validation plays"),
        (["7", "--seed", "-1"], "--seed"),
        (["7", "--sped", "2"], "did you mean --speed"),
        (["7", "--source", "nowhere.csv"], "nowhere.csv: no such file"),
    ],
)
def test_what_cannot_be_replayed_is_one_line(opened, words, message):
    with pytest.raises(InputError, match=re.escape(message)) as caught:
        opened(*words)
    assert "\n" not in str(caught.value)


def test_a_play_id_of_several_games(run, plays):
    twice = type(plays).concatenate([plays, plays])
    twice.game_id[COUNT:] += 100
    with pytest.raises(InputError, match="7: expected GAME/PLAY_ID, because 2 games match: 0/7, 100/7"):
        play_selection.find_play([(run, twice)], "7", 0, "all")


def test_a_run_without_frames(opened, monkeypatch):
    bare = small_run(encoder="none")
    monkeypatch.setattr(runs_score, "open_target", lambda path, trust=False: Target(path, (bare,), None))
    with pytest.raises(InputError, match="expected a run that uses frames of plays"):
        opened("7")
