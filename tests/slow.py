"""Which parameters of a test the fast suite leaves out."""

from collections.abc import Collection, Iterable
from typing import Any

import pytest


def marked(values: Iterable[Any], slow: Collection[Any]) -> list[Any]:
    """Parameters of a test; those that are in `slow` are tested by `scripts/test --all` alone."""
    return [pytest.param(value, marks=pytest.mark.slow) if value in slow else value for value in values]
