"""Grids: the built-in ones can be trained; an error in a user's own grid is reported with its location."""

import pytest

from sbp_jax.errors import InputError
from sbp_jax.runs import grid
from sbp_jax.runs.sweep import trials
from sbp_jax.training.check import check

pytestmark = pytest.mark.unoptimized

GOOD = """
title = "Masses"
about = "Tail masses."
base = "smoke"
reference = "small"
axis = "mass"
arms = [
  { name = "small", x = 0.05, head.tail_mass = [0.05, 0.05] },
  { name = "large", x = 0.2, head = { tail_mass = [0.2, 0.2] }, training.objective = "exact" },
]
"""


def written(folder, text):
    path = folder / "mine.toml"
    path.write_text(text)
    return str(path)


@pytest.mark.sample(1)
@pytest.mark.parametrize("name", grid.names())
def test_every_arm_can_be_trained(name):
    chosen = grid.read(name)
    assert chosen.about.endswith(".")
    for arm in chosen.arms:
        check(arm.config)
    reference = next(arm for arm in chosen.arms if arm.name == chosen.reference)
    assert len({arm.config for arm in chosen.arms}) == len(chosen.arms) > 3
    assert all(arm.config.data == reference.config.data for arm in chosen.arms)


def test_a_grid_of_one_s_own(tmp_path):
    small, large = grid.read(written(tmp_path, GOOD)).arms
    assert (small.x, small.config.head.tail_mass, small.config.training.objective) == (0.05, (0.05, 0.05), "auto")
    assert (large.x, large.config.head.tail_mass, large.config.training.objective) == (0.2, (0.2, 0.2), "exact")
    assert small.config.network.channels == 16  # the base's


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('axis = "mass"', 'axes = "mass"', "unknown key 'axes'"),
        ('base = "smoke"', 'base = "none"', "unknown configuration 'none'"),
        ('reference = "small"', 'reference = "tiny"', "reference: expected one of .*'small', 'large'.*got 'tiny'"),
        ('name = "large"', 'name = "small"', "arms: expected different names"),
        ("head.tail_mass = [0.05, 0.05]", "head.mass = 1", r"arms\[0\]: head has no field 'mass'; known: kind, low"),
        ("head.tail_mass = [0.05, 0.05]", "heads.bins = 1", r"arms\[0\]: expected sections of data, network"),
        ("head.tail_mass = [0.05, 0.05]", 'head.bins = "many"', r"arms\[0\].head.bins: expected int, got 'many'"),
        ("x = 0.05", 'x = "left"', r"arms\[0\]: x: expected a number, got 'left'"),
        ("arms = [", "arms = ", "expected TOML"),
        ('title = "Masses"', "title = 3", "title: expected a str, got 3"),
    ],
)
def test_an_error_is_reported_with_its_location(tmp_path, old, new, message):
    assert old in GOOD
    with pytest.raises(InputError, match=message) as caught:
        grid.read(written(tmp_path, GOOD.replace(old, new)))
    assert "\n" not in str(caught.value)


@pytest.mark.sample(1)
@pytest.mark.parametrize("name", [name for name in grid.names() if name != "architecture"])
def test_a_grid_on_another_base(name):
    own, other = grid.read(name), grid.read(name, "play_by_play")
    assert (other.name, other.title) == (f"{name}-play_by_play", f"{own.title}: play_by_play")
    assert [arm.name for arm in other.arms] == [arm.name for arm in own.arms]
    for mine, arm in zip(own.arms, other.arms, strict=True):
        assert not arm.config.data.tracking
        assert arm.config.head == mine.config.head  # what an arm changes does not depend on the base
        check(arm.config)


def test_a_grid_of_frames_needs_tracking():
    with pytest.raises(InputError, match="differ in their use of frames, and play_by_play has no tracking"):
        grid.read("architecture", "play_by_play")


def test_no_such_grid():
    with pytest.raises(InputError, match="nowhere: no such grid; known: architecture, bins"):
        grid.read("nowhere")


def test_trials_are_arms_times_seeds(tmp_path):
    chosen = grid.read(written(tmp_path, GOOD))
    result = trials(chosen, seeds=3, plays=300, epochs=2)
    assert [(trial.arm.name, trial.seed) for trial in result] == [(a, s) for a in ("small", "large") for s in range(3)]
    assert {trial.config.training.seed for trial in result} == {0, 1, 2}
    assert {(trial.config.data.plays, trial.config.training.epochs) for trial in result} == {(300, 2)}
    assert {trial.arm.name for trial in trials(chosen, arms=("large",))} == {"small", "large"}
    with pytest.raises(InputError, match="mine has no arm 'huge'; known: small, large"):
        trials(chosen, arms=("huge",))
    with pytest.raises(InputError, match="--seeds: expected at least 1"):
        trials(chosen, seeds=0)
    with pytest.raises(InputError, match="--plays: applies to simulated plays, and these are read from files"):
        trials(grid.read("bins", "play_by_play"), plays=300, source=("plays.csv",))
    with pytest.raises(InputError, match="expected lists of plays"):
        trials(grid.read("bins", "play_by_play"))
    with pytest.raises(InputError, match=r"arms\[1\].head.tail-mass: expected masses from 0 to below 1/2"):
        grid.read(written(tmp_path, GOOD.replace("[0.2, 0.2]", "[0.7, 0.2]")))
    narrow = grid.read(written(tmp_path, GOOD.replace("[0.2, 0.2]", "[0.2, 0.2], support = [-5.0, 5.0]")))
    with pytest.raises(InputError, match=r"mine, arm .large.: support must contain the edges"):
        trials(narrow)
