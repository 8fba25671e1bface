"""Shared test set-up: strict JAX promotion, shape-checked signatures, and the optional real data."""

import gc
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jax
import pytest
from jax._src import compiler  # no public switch chooses XLA's code generator from file to file
from jaxtyping import install_import_hook

jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_num_cpu_devices", 2)  # for what is spread over devices; all else uses the first
if find_spec("beartype"):  # a borrowed accelerator may not have it; the device benchmark reports that
    install_import_hook("sbp_jax", "beartype.beartype")
gc.set_threshold(
    100_000, 20, 20
)  # what was compiled stays: looking it through over and over took a fifteenth of the time

# The optimizer's library mixes integers and floats, so that training tests cannot be strict.
STRICT_ROOMS = {"distributions", "evaluation", "models", "scoring"}
# Tests about finiteness, shapes, training and files, most of whose time goes into compiling: LLVM's optimizer is off,
# and XLA generates code in its plainer way, which halves that time. XLA's own passes stay, and every comparison with
# 50 digits is in another file and runs the code that users run.
# Long files first: one that starts last leaves a processor idle.
UNOPTIMIZED = [
    *("test_heads.py", "test_network.py", "test_extremes.py", "test_transformations.py", "test_family.py"),
    *("test_inference.py", "test_finite.py", "test_tcn.py", "test_flags.py", "test_benchmark.py"),
    "test_device_benchmark.py",
    *("test_fit.py", "test_diverged.py", "test_resident.py", "test_sweep.py", "test_build.py", "test_feed.py"),
    *("test_units.py", "test_marginal.py", "test_extras.py", "test_masked_players.py"),
    *("test_series.py", "runs/test_play_lists.py", "test_score.py", "test_recovery.py", "test_outcomes.py"),
    *("test_scorer.py", "test_export.py", "test_batching.py", "test_replay.py"),
    *("cli/test_thresholds.py", "test_grid.py", "test_marginals.py", "test_reproduce.py"),
    *("test_scale_table.py", "test_detectors_table.py", "test_checkpoints.py", "test_optimizer.py"),
    *("test_refusals.py", "test_serve.py", "test_service.py", "test_config_file.py", "test_untrusted.py"),
]
LONG = [
    "test_exactness.py",
    "test_end_to_end.py",
    "test_adapters.py",
    "test_parity.py",
    "test_blended.py",
    "test_spliced.py",
]
REAL_DATA = Path(__file__).parents[2] / "shared" / "data"


def place(path: Path, names: list[str]) -> int:
    """Position among names of files of the first that the path ends with; their number where there is none."""
    return next((i for i, name in enumerate(names) if path.match(name)), len(names))


def unoptimized(path: Path) -> bool:
    return place(path, UNOPTIMIZED) < len(UNOPTIMIZED)


def compile_options(*args: Any, made: Callable[..., Any] = compiler.get_compile_options, **kwargs: Any) -> Any:
    """JAX's options, without the emitters of fused code where the optimizer is off."""
    options = made(*args, **kwargs)
    if jax.config.read("jax_disable_most_optimizations"):
        options.env_option_overrides = [*options.env_option_overrides, ("xla_cpu_use_fusion_emitters", False)]
    return options


compiler.get_compile_options = compile_options


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files without the optimizer lie together, as a change empties JAX's caches; what never compiles comes last."""
    items.sort(
        key=lambda item: (
            "data" in item.path.parts[-3:],
            unoptimized(item.path),
            place(item.path, LONG),
            place(item.path, UNOPTIMIZED),
        )
    )


@pytest.fixture(scope="module", autouse=True)
def optimizer(request: pytest.FixtureRequest) -> None:
    """Compiles the file's code with or without LLVM's optimizer; nothing compiled the other way is left to run."""
    off = unoptimized(request.path)
    if jax.config.read("jax_disable_most_optimizations") != off:
        jax.config.update("jax_disable_most_optimizations", off)
        jax.clear_caches()


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
