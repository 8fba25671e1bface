"""Mark the parameters of a test that the fast suite skips."""

from collections.abc import Collection, Iterable
from typing import Any

import pytest


def marked(values: Iterable[Any], slow: Collection[Any]) -> list[Any]:
    """Return the parameters of a test; only `scripts/test --all` tests those in `slow`."""
    return [pytest.param(value, marks=pytest.mark.slow) if value in slow else value for value in values]
