"""A run's config.json in every format, as written by the code of that time; the speed of its epochs."""

import dataclasses
import json
from pathlib import Path

import pytest

from sbp_jax.config import Config, TrainingConfig
from sbp_jax.errors import InputError
from sbp_jax.runs.config_file import ADDED, FORMAT, identity, metrics_of, read_saved
from sbp_jax.runs.train import run_folder
from sbp_jax.training.build import make_head

pytestmark = pytest.mark.unoptimized

CONFIGS = Path(__file__).parent / "configs"  # by the commit whose code wrote them, and by format


def written(folder, name, change=lambda saved: None):
    saved = json.loads((CONFIGS / f"{name}.json").read_text())
    change(saved)
    (folder / "config.json").write_text(json.dumps(saved))
    return folder


def test_a_run_from_before_outcomes_extras_and_resident_plays_means_what_it_did(tmp_path):
    saved = read_saved(written(tmp_path, "9885f92"))
    assert (saved.config.training.resident, saved.config.data.outcome, saved.config.data.extras) == (False, "yards", ())
    assert (saved.config.training.epochs, saved.config.training.buckets) == (18, (32,))
    assert (saved.integer, saved.training_plays, saved.fingerprint) == (True, None, "5f0c1d2e3a4b5c6d")
    assert saved.starts[0]["versions"]["jax"] == "0.10.2"


def test_fields_that_a_file_has_are_its_own(tmp_path):
    saved = read_saved(written(tmp_path, "d490b3f"))
    assert saved.config == Config(training=TrainingConfig(objective="interval"))  # the default then
    assert saved.config.training.resident
    assert saved.config.training.mirror


def test_a_run_that_no_value_makes_what_it_was_says_what_changed(tmp_path):
    with pytest.raises(InputError, match=r"config\.json: config\.head\.support: missing: .* train it again"):
        read_saved(written(tmp_path, "a2aeeb1"))

    def with_support(saved):
        saved["config"]["head"]["support"] = [-110.0, 110.0]

    saved = read_saved(written(tmp_path, "a2aeeb1", with_support))
    assert (saved.config.network.encoder, saved.config.optimizer.average, saved.config.training.mirror) == (
        "flat",
        0.0,
        False,
    )


def test_a_new_field_has_a_format_and_what_code_before_it_did(tmp_path):
    """This fails if a configuration gains a field: increment FORMAT, add the old behavior to ADDED, and add a file."""
    assert sorted(path.stem for path in CONFIGS.glob("format*")) == [f"format{i}" for i in range(1, FORMAT + 1)]
    assert sorted(ADDED) == list(range(1, FORMAT + 1))
    for number in range(1, FORMAT + 1):
        read_saved(written(tmp_path, f"format{number}"))
    newest = json.loads((CONFIGS / f"format{FORMAT}.json").read_text())["config"]
    now = dataclasses.asdict(Config())
    assert {section: set(part) for section, part in newest.items()} == {s: set(part) for s, part in now.items()}


def test_a_blended_pareto_of_before_is_the_published_one(tmp_path):
    """It blended cdfs; the name now means the blend of densities, in separate folders."""
    for number, kind in ((1, "blended_pareto_published"), (4, "blended_pareto_published"), (5, "blended_pareto")):
        saved = read_saved(written(tmp_path, f"format{number}", change("head", "kind", "blended_pareto")))
        assert saved.config.head.kind == kind
        assert make_head(saved.config.head).blend == ("density" if number == 5 else "published")
        assert (run_folder(tmp_path, saved.config, "").name.startswith("blended_pareto-")) == (number < 5)
    assert read_saved(written(tmp_path, "format3", change("head", "kind", "binned"))).config.head.kind == "binned"
    with pytest.raises(InputError, match=r"head\.kind"):
        read_saved(written(tmp_path, "format3", change("head", "kind", ["blended_pareto"])))


def change(section, name, value):
    def changed(saved):
        saved["config"].setdefault(section, {})[name] = value

    return changed


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (lambda s: s.update(format=FORMAT + 1), "format .*, written by a newer sbp_jax; this version reads up to"),
        (lambda s: s["config"]["training"].pop("mirror"), r"config\.training\.mirror: missing$"),
        (change("training", "rhythm", 3), r"config\.training\.rhythm: unknown to this version"),
        (change("teams", "count", 3), r"config\.teams: unknown to this version"),
        (change("head", "bins", "many"), r"config\.head\.bins: expected int, got 'many'"),
        (lambda s: s.update(config=[]), "expected sections of fields"),
        (lambda s: s.update(starts=[3]), "expected the JSON of a training run"),
        (lambda s: s.update(num_static=0), "expected the JSON of a training run"),
        (lambda s: s.pop("dataset"), "expected the JSON of a training run"),
    ],
)
def test_what_cannot_be_read_is_named_in_one_line(tmp_path, changed, message):
    with pytest.raises(InputError, match=message) as error:
        read_saved(written(tmp_path, f"format{FORMAT}", changed))
    assert "\n" not in str(error.value)
    assert str(tmp_path / "config.json") in str(error.value)


def test_plays_per_second_are_those_of_the_call_that_took_the_seconds():
    history = [{"epoch": i + 1, "step": 10 * (i + 1), "seconds": 2.0} for i in range(3)]
    starts = [{"step": 0}, {"step": 15}, {"versions": {}}]  # killed in the second epoch, resumed from its middle
    table = metrics_of(history, starts, plays=100)
    assert table["plays_per_s"].to_list() == [50.0, 25.0, 50.0]
    assert metrics_of(history, starts)["plays_per_s"].to_list() == [None, None, None]
    assert metrics_of([]).height == 0


def test_exact_of_a_density_that_jumps_was_pointwise(tmp_path):
    """An older run has the loss it was trained with, in the folder of the same name; "exact" now means another loss."""

    def exact(saved, parameterization="bounded"):
        saved["config"]["training"]["objective"] = "exact"
        saved["config"]["head"]["parameterization"] = parameterization

    old = read_saved(written(tmp_path, "format3", exact)).config
    assert old.training.objective == "pointwise"
    assert identity(old) == named(exact_of(old))
    new = read_saved(written(tmp_path, "format4", exact)).config
    assert new.training.objective == "exact"
    assert identity(new) != identity(old)
    smooth = read_saved(written(tmp_path, "format3", lambda saved: exact(saved, "continuous"))).config
    assert smooth.training.objective == "exact"
    assert identity(smooth) == named(smooth)


def named(config):
    """The fields of a configuration that affect the trained parameters, with the values of the first version."""
    values = dataclasses.asdict(config)
    del values["training"]["batch_source"]
    assert (values["training"]["threshold_gradient"], values["data"]["malformed"]) == ("auto", "raise")
    values["training"]["threshold_gradient"], values["data"]["malformed"] = "habit", "stop"
    return values


def exact_of(config):
    return dataclasses.replace(config, training=dataclasses.replace(config.training, objective="exact"))
