"""Shared test set-up: strict JAX promotion, shape-checked signatures, and the optional real data."""

import gc
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jax
import pytest
from jax._src import compiler
from jaxtyping import install_import_hook

jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_num_cpu_devices", 2)  # for tests that spread over devices; the others use the first
if find_spec("beartype"):  # a borrowed accelerator may not have it; the device benchmark reports that
    install_import_hook("sbp_jax", "beartype.beartype")
gc.set_threshold(100_000, 20, 20)  # programs stay: collecting them over and over took a fifteenth of the time

# Optax mixes integers and floats, so that training tests cannot be strict.
STRICT_PACKAGES = {"distributions", "evaluation", "models", "scoring"}
REAL_DATA = Path(__file__).parents[2] / "shared" / "data"


def compile_options(*args: Any, original: Callable[..., Any] = compiler.get_compile_options, **kwargs: Any) -> Any:
    """JAX's options, without the emitters of fused code where the optimizer is off."""
    options = original(*args, **kwargs)
    if jax.config.read("jax_disable_most_optimizations"):
        options.env_option_overrides = [*options.env_option_overrides, ("xla_cpu_use_fusion_emitters", False)]
    return options


# XLA reads XLA_FLAGS once a process, and jit's `compiler_options` reach no program of another caller.
compiler.get_compile_options = compile_options


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put files of one compile mode together, as a change empties JAX's caches, and long files first in each."""
    items.sort(key=lambda item: (bool(item.get_closest_marker("unoptimized")), not item.get_closest_marker("long")))


@pytest.fixture(scope="module", autouse=True)
def compile_mode(request: pytest.FixtureRequest) -> None:
    """Compile the file's code with or without LLVM's optimizer; drop what was compiled the other way."""
    off = request.node.get_closest_marker("unoptimized") is not None
    if jax.config.read("jax_disable_most_optimizations") != off:
        jax.config.update("jax_disable_most_optimizations", off)
        jax.clear_caches()


@pytest.fixture(autouse=True)
def strict_dtype_promotion(request: pytest.FixtureRequest) -> Iterator[None]:
    """No silent mixing of dtypes in packages that use no optax."""
    strict = STRICT_PACKAGES & set(request.path.parts)
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
