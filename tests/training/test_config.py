"""Configurations survive JSON, and errors name the wrong field."""

import dataclasses
import json

import pytest

from sbp_jax import configs
from sbp_jax.config import Config, DataConfig, from_dict
from sbp_jax.digests import short_digest
from sbp_jax.errors import InputError


@pytest.mark.parametrize("name", configs.names())
def test_named_configurations_survive_json(name):
    config = dataclasses.replace(configs.get(name), data=DataConfig(source=("a", "b")))
    assert from_dict(Config, json.loads(json.dumps(dataclasses.asdict(config)))) == config


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"optimiser": {}}, "unknown field 'optimiser'"),
        ({"optimizer": {"learning_rate": "fast"}}, "config.optimizer.learning_rate: expected float"),
        ({"head": {"kind": "cauchy"}}, "config.head.kind"),
        ({"head": {"tail_mass": [0.1]}}, "config.head.tail_mass"),
        ({"training": {"epochs": 1.5}}, "config.training.epochs: expected int"),
        ({"network": 3}, "config.network"),
    ],
)
def test_wrong_field_is_named(change, message):
    with pytest.raises(InputError, match=message):
        from_dict(Config, change)


def test_digests_distinguish_configurations():
    assert short_digest({"a": 1}, "x") == short_digest({"a": 1}, "x")
    assert short_digest({"a": 1}, "x") != short_digest({"a": 2}, "x")


def test_unknown_configuration_lists_the_known():
    with pytest.raises(InputError, match=r"unknown configuration 'demos'; did you mean demo\?"):
        configs.get("demos")
    with pytest.raises(InputError, match=r"unknown configuration 'x'; known: ablation, demo"):
        configs.get("x")
