"""Check the type and the range of every argument of an estimator, before any computation."""

import math
from collections.abc import Mapping
from typing import Any, NoReturn

import numpy as np

from sbp_jax.distributions.heads import PARAMETERIZATIONS, Head
from sbp_jax.errors import InputError
from sbp_jax.estimator.heads import FAMILIES

_ANY_SHAPES = ("sbp", "normal", "student_t", "binned")  # families that accept an upper bound of 0 or less
_MAX_LAYERS = 20  # the receptive field doubles with each


def check_arguments(arguments: Mapping[str, Any]) -> None:
    """Raise an InputError unless every argument of the constructor has a valid type and is in its range.

    Args:
        arguments: values by name, as `get_params` returns them; unknown names are ignored.
    """
    for name, check in _CHECKS.items():
        if name in arguments:
            check(name, arguments[name])
    head, shapes = arguments.get("head"), arguments.get("shape_bounds", (0, 1))
    if isinstance(head, str) and head not in _ANY_SHAPES and shapes[1] <= 0:
        raise InputError(f"shape_bounds: expected an upper bound above 0 for head {head!r}, got {shapes!r}")


def is_integer(value: Any) -> bool:
    """Return whether a value is an integer; booleans do not count."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def is_number(value: Any) -> bool:
    """Return whether a value is a real number other than NaN; booleans do not count."""
    return is_integer(value) or (isinstance(value, float | np.floating) and not math.isnan(value))


def quantile_level(which: Any) -> float | None:
    """Return the probability of the quantile that `predict` is to return: 0.5 for "median"; None for "mean".

    Raises:
        InputError: it is neither of them nor a probability, or one that float32 rounds to 0 or 1.
    """
    if isinstance(which, str) and which in ("median", "mean"):
        return 0.5 if which == "median" else None
    level = float(which) if is_number(which) else math.nan
    if not 0 <= level <= 1:
        raise InputError(f"which: expected 'median', 'mean' or a probability, got {which!r}")
    if 0 < level < 1 and np.float32(level) in (0, 1):
        raise InputError(f"which: expected a probability that float32 does not round to 0 or 1, got {which!r}")
    return level


def checked_count(name: str, value: Any) -> int:
    """Return a value as an integer; InputError unless it is one of at least 1."""
    _count(name, value)
    return int(value)


def seed_of(random_state: Any) -> int:
    """Return a seed, drawn from a `RandomState` or `Generator`; a random one for None."""
    if random_state is None:
        return int(np.random.default_rng().integers(2**31))
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(2**31 - 1))
    if isinstance(random_state, np.random.Generator):
        return int(random_state.integers(2**31))
    return int(random_state)


def _refuse(name: str, expected: str, value: Any) -> NoReturn:
    raise InputError(f"{name}: expected {expected}, got {' '.join(repr(value).split())[:200]}")


def _is_auto(value: Any) -> bool:
    return isinstance(value, str) and value == "auto"


def _pair(value: Any) -> bool:
    return isinstance(value, tuple | list | np.ndarray) and np.ndim(value) == 1 and len(value) == 2


def _tail_mass(name: str, value: Any) -> None:
    if not (_pair(value) and all(is_number(mass) and 0 <= mass < 0.5 for mass in value)):
        _refuse(name, "two probabilities from 0 to below 1/2", value)


def _bins(name: str, value: Any) -> None:
    if _is_auto(value):
        return
    if is_integer(value):
        if value < 2:
            _refuse(name, "at least 2 bins", value)
    elif not _increasing(value):
        _refuse(name, "a number of bins, or at least three finite, increasing edges", value)


def _increasing(value: Any) -> bool:
    if isinstance(value, str | bool | float | Mapping | set) or np.ndim(value) != 1 or len(value) < 3:
        return False
    return all(is_number(edge) and math.isfinite(edge) for edge in value) and bool(np.all(np.diff(value) > 0))


def _head(name: str, value: Any) -> None:
    if isinstance(value, str):
        if value not in FAMILIES:
            _refuse(name, f"one of {', '.join(FAMILIES)} or a head", value)
    elif isinstance(value, type) or not isinstance(value, Head):
        kind = f"the class {value.__name__}" if isinstance(value, type) else type(value).__name__
        raise InputError(f"{name}: expected one of {', '.join(FAMILIES)} or a head, got {kind}")
    else:
        try:
            hash(value)
        except TypeError:
            expected = "a head that is hashable, such as a frozen dataclass whose fields are numbers and tuples"
            raise InputError(f"{name}: expected {expected}, got {type(value).__name__}") from None


def _bounds(name: str, value: Any) -> None:
    if _is_auto(value):
        return
    if not (_pair(value) and all(bound is None or is_number(bound) for bound in value)):
        _refuse(name, "'auto' or (low, high), None for no bound", value)
    low = -math.inf if value[0] is None else value[0]
    high = math.inf if value[1] is None else value[1]
    if not low < high or low == math.inf or high == -math.inf:
        _refuse(name, "a lower bound below the upper one", value)


def _atoms(name: str, value: Any) -> None:
    if _is_auto(value):
        return
    if not isinstance(value, tuple | list | np.ndarray) or np.ndim(value) != 1:
        _refuse(name, "'auto' or a list of numbers", value)
    if not all(is_number(atom) and math.isfinite(atom) for atom in value) or len(set(value)) < len(value):
        _refuse(name, "distinct finite numbers", value)


def _integer(name: str, value: Any) -> None:
    if not isinstance(value, bool | np.bool_) and not _is_auto(value):
        _refuse(name, "'auto', True or False", value)


def _parameterization(name: str, value: Any) -> None:
    usable = [key for key, each in PARAMETERIZATIONS.items() if not each.needs_end]
    if not isinstance(value, str) or value not in usable:
        _refuse(name, f"one of {', '.join(usable)}", value)


def _shape_bounds(name: str, value: Any) -> None:
    if not (_pair(value) and all(is_number(bound) and math.isfinite(bound) for bound in value)):
        _refuse(name, "(low, high), two finite numbers", value)
    if not -1 < value[0] < value[1]:
        _refuse(name, "increasing bounds above -1", value)


def _hidden(name: str, value: Any) -> None:
    if not isinstance(value, tuple | list | np.ndarray) or not all(is_integer(w) and w >= 1 for w in value):
        _refuse(name, "a tuple of widths of at least 1", value)


def _count(name: str, value: Any) -> None:
    if not is_integer(value) or value < 1:
        _refuse(name, "an integer of at least 1", value)


def _layers(name: str, value: Any) -> None:
    if not is_integer(value) or not 1 <= value <= _MAX_LAYERS:
        _refuse(name, f"an integer from 1 to {_MAX_LAYERS}", value)


def _count_or_auto(name: str, value: Any) -> None:
    if not _is_auto(value) and (not is_integer(value) or value < 1):
        _refuse(name, "'auto' or an integer of at least 1", value)


def _share(name: str, value: Any) -> None:
    if not is_number(value) or not 0 <= value < 0.995:
        _refuse(name, "a fraction from 0 to 0.99", value)


def _positive(name: str, value: Any) -> None:
    if not is_number(value) or not 0 < value < math.inf:
        _refuse(name, "a positive number", value)


def _nonnegative(name: str, value: Any) -> None:
    if not is_number(value) or not 0 <= value < math.inf:
        _refuse(name, "a number of at least 0", value)


def _switch(name: str, value: Any) -> None:
    if not isinstance(value, bool | np.bool_):
        _refuse(name, "True or False", value)


def _random_state(name: str, value: Any) -> None:
    if value is None or isinstance(value, np.random.RandomState | np.random.Generator):
        return
    if not is_integer(value) or not 0 <= value < 2**32:
        _refuse(name, "an integer from 0 to 2^32 - 1, a RandomState, a Generator or None", value)


_CHECKS = {
    "tail_mass": _tail_mass,
    "bins": _bins,
    "head": _head,
    "bounds": _bounds,
    "integer": _integer,
    "atoms": _atoms,
    "parameterization": _parameterization,
    "shape_bounds": _shape_bounds,
    "networks": _count_or_auto,
    "ensemble": _count,
    "hidden": _hidden,
    "channels": _count,
    "layers": _layers,
    "kernel_size": _count,
    "dropout": _share,
    "learning_rate": _positive,
    "weight_decay": _nonnegative,
    "batch_size": _count_or_auto,
    "max_epochs": _count_or_auto,
    "patience": _count,
    "validation_fraction": _share,
    "warm_start": _switch,
    "random_state": _random_state,
    "progress": _switch,
}
