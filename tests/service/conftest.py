"""A scorer of sums, and a service of it."""

import pytest

from tests.service.scorers import sums


@pytest.fixture(scope="module")
def scorer():
    return sums()


@pytest.fixture
def client(scorer):
    from tests.service.clients import serving

    with serving(scorer) as client:
        yield client
