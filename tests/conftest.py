"""Shared test set-up: strict JAX promotion, shape-checked signatures, and the optional real data."""

from collections.abc import Iterator
from pathlib import Path

import jax
import pytest
from jaxtyping import install_import_hook

jax.config.update("jax_numpy_rank_promotion", "raise")
install_import_hook("sbp_jax", "beartype.beartype")

# The optimizer's library mixes integers and floats, so that training tests cannot be strict.
STRICT_ROOMS = {"distributions", "evaluation", "models", "scoring"}
REAL_DATA = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(autouse=True)
def strict_dtype_promotion(request: pytest.FixtureRequest) -> Iterator[None]:
    """No silent mixing of dtypes in the rooms that are ours alone."""
    strict = STRICT_ROOMS & set(request.path.parts)
    with jax.numpy_dtype_promotion("strict" if strict else "standard"):
        yield


@pytest.fixture
def real_data() -> Path:
    """Folder of real tracking files beside the checkout; the test is skipped where it is missing."""
    if not REAL_DATA.is_dir():
        pytest.skip(f"no real data at {REAL_DATA}")
    return REAL_DATA


@pytest.fixture
def loose() -> Iterator[None]:
    """NumPyro promotes ranks itself; tests without this fixture hold the adapters to the strict rule."""
    with jax.numpy_rank_promotion("allow"):
        yield
