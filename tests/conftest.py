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
gc.set_threshold(100_000, 20, 20)  # compiled programs stay alive: scanning them took a fifteenth of the time

# Optax mixes integers and floats, so training tests cannot be strict.
STRICT_PACKAGES = {"distributions", "evaluation", "models", "scoring"}
REAL_DATA = Path(__file__).parents[2] / "shared" / "data"


def compile_options(*args: Any, original: Callable[..., Any] = compiler.get_compile_options, **kwargs: Any) -> Any:
    """Return JAX's compile options, without the fusion emitters if the optimizer is off."""
    options = original(*args, **kwargs)
    if jax.config.read("jax_disable_most_optimizations"):
        options.env_option_overrides = [*options.env_option_overrides, ("xla_cpu_use_fusion_emitters", False)]
    return options


# XLA reads XLA_FLAGS once per process, and `compiler_options` of jit do not affect the programs of other callers
compiler.get_compile_options = compile_options


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put files of one compile mode together, as a change empties JAX's caches, and long files first in each.

    The cases of a test that `sample` leaves out of the fast suite are slow.
    """
    items.sort(key=lambda item: (bool(item.get_closest_marker("unoptimized")), not item.get_closest_marker("long")))
    cases: dict[tuple[str, str], list[pytest.Item]] = {}
    for item in items:
        if item.get_closest_marker("sample") and not item.get_closest_marker("slow"):
            cases.setdefault((str(item.path), item.name.partition("[")[0]), []).append(item)
    for of_test in cases.values():
        count = min(next(of_test[0].iter_markers("sample")).args[0], len(of_test))
        chosen = {(2 * i + 1) * len(of_test) // (2 * count) for i in range(count)}
        for i, item in enumerate(of_test):
            if i not in chosen:
                item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="module", autouse=True)
def compile_mode(request: pytest.FixtureRequest) -> None:
    """Compile the file's code with or without LLVM's optimizer; drop code compiled in the other mode."""
    off = request.node.get_closest_marker("unoptimized") is not None
    if jax.config.read("jax_disable_most_optimizations") != off:
        jax.config.update("jax_disable_most_optimizations", off)
        jax.clear_caches()


@pytest.fixture(autouse=True)
def strict_dtype_promotion(request: pytest.FixtureRequest) -> Iterator[None]:
    """Forbid implicit dtype promotion in packages that do not use optax."""
    strict = STRICT_PACKAGES & set(request.path.parts)
    with jax.numpy_dtype_promotion("strict" if strict else "standard"):
        yield


@pytest.fixture
def real_data() -> Path:
    """Folder of real tracking files next to the checkout; the test is skipped if it is missing."""
    if not REAL_DATA.is_dir():
        pytest.skip(f"no real data at {REAL_DATA}")
    return REAL_DATA


@pytest.fixture
def real_file(real_data: Path) -> Callable[..., Path]:
    """Function that returns a file or folder of `real_files`; the test is skipped if it is missing."""

    def find(*parts: str) -> Path:
        path = real_data.joinpath("real_files", *parts)
        if not path.exists():
            pytest.skip(f"no real data at {path}")
        return path

    return find


@pytest.fixture
def loose() -> Iterator[None]:
    """Allow rank promotion, which NumPyro itself uses; other tests require strict adapters."""
    with jax.numpy_rank_promotion("allow"):
        yield
