"""Reading for tests: the plays and their report, or the one line of the error."""

import pytest

from sbp_jax.data.features import read_plays
from sbp_jax.data.plays import Plays
from sbp_jax.data.readers.report import ReadReport
from sbp_jax.data.readers.rules import Rules
from sbp_jax.data.readers.tracking import read_tracking
from sbp_jax.errors import InputError


def read(path, malformed="raise", **rules) -> tuple[Plays, ReadReport]:
    """Read with the given rules."""
    return read_plays(path, Rules(malformed, **rules))


def fails(path, *words: str, malformed="raise") -> str:
    """Expect an error of one line that has all `words`; return it."""
    with pytest.raises(InputError) as caught:
        list(read_tracking(path, Rules(malformed)))
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message
    return message
