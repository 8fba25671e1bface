"""Write fitted estimators to folders and read them: checkpoints with a JSON record, but no code."""

from contextlib import suppress
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from sbp_jax.atomic import building
from sbp_jax.errors import InputError
from sbp_jax.estimator.arguments import check_arguments
from sbp_jax.estimator.features import Features
from sbp_jax.estimator.fitting import Inputs, untrained
from sbp_jax.estimator.forecaster import FORECASTER_STRUCTURE, SBPForecaster
from sbp_jax.estimator.parameters import STRUCTURE
from sbp_jax.estimator.program import Values
from sbp_jax.estimator.regressor import SBPRegressor
from sbp_jax.estimator.target import Target
from sbp_jax.training.checkpoints import Checkpoints

KIND, FORMAT = "sbp_jax estimator", 3


def save(model: SBPRegressor | SBPForecaster, path: Path) -> None:
    """Write a fitted estimator to a folder.

    Raises:
        InputError: the head is not one of the named families, an argument is not a number, text or list, or the folder
            cannot be written or holds something other than a saved estimator.
    """
    _check_replaceable(path)
    record = {
        "kind": KIND,
        "format": FORMAT,
        "parameters": {name: _plain(name, value) for name, value in model.get_params(deep=False).items()},
        "target": asdict(model.target_),
        "features": None if model.features_ is None else model.features_.to_json(),
        "sequence_features": None if model.sequence_features_ is None else model.sequence_features_.to_json(),
        "members": len(model.history_),
        "censored": model._trainable.program.censored,
        "history": model.history_,
    }
    if isinstance(model, SBPForecaster):
        record["forecaster"] = model._record()
    trees = {"best": model.params_, "constants": model._constants, "state": {"format": np.array([FORMAT], np.int32)}}
    with building(path, replace=True) as folder:
        checkpoints = Checkpoints(folder)
        checkpoints.save(0, trees, record)
        checkpoints.close()


def _check_replaceable(path: Path) -> None:
    """Raise an InputError unless `path` is new, an empty folder or a saved estimator."""
    with suppress(InputError, OSError):
        if not path.exists() or (path.is_dir() and not any(path.iterdir())):
            return
        if Checkpoints(path, read_only=True).record().get("kind") == KIND:
            return
    raise InputError(f"{path}: expected a new folder or a saved estimator, but found something else")


def load(path: str | Path) -> Any:
    """Read an `SBPRegressor` or `SBPForecaster` that its `save` method wrote; nothing in the folder is executed.

    Raises:
        InputError: the folder is missing, damaged, or holds something else.

    Example:
        >>> model = sbp.load("claims")  # doctest: +SKIP
    """
    path = Path(path)
    checkpoints = Checkpoints(path, read_only=True)
    if checkpoints.latest is None:
        raise InputError(f"{path}: expected the folder of a saved estimator")
    model: Any = None
    holder: dict[str, Any] = {}

    def like(record: dict[str, Any]) -> dict[str, Any]:
        if record.get("kind") != KIND or record.get("format") != FORMAT:
            raise InputError(f"{path}: expected a saved estimator of format {FORMAT}")
        nonlocal model
        try:
            model = SBPForecaster() if "forecaster" in record else SBPRegressor()
            _restore(model, record)
        except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
            cause = " ".join(str(error).split())[:200]
            raise InputError(f"{path}: expected the record of a saved estimator, but it is invalid: {cause}") from error
        if isinstance(model, SBPForecaster):
            holder["trainable"], params, constants = model._untrained(bool(record["censored"]))
        else:
            features, sequences = model.features_, model.sequence_features_
            inputs = Inputs(
                np.zeros((1, 1, 0 if sequences is None else sequences.size), np.float32),
                np.ones(1, np.int32),
                np.zeros((1, 0 if features is None else features.size), np.float32),
            )
            program = model._program(model.target_, bool(record["censored"]))
            holder["trainable"], params, constants = untrained(model._network_config(), inputs, program)
        stacked = nnx.eval_shape(lambda: _stacked(params, int(record["members"])))
        return {"best": stacked, "constants": constants}

    saved = checkpoints.load(like)
    model._trainable = holder["trainable"]
    model.params_, model._constants = saved.trees["best"], saved.trees["constants"]
    return model


def _stacked(params: Any, count: int) -> Any:
    return jax.tree.map(lambda leaf: jnp.zeros((count, *leaf.shape), leaf.dtype), params)


def _restore(model: SBPRegressor | SBPForecaster, record: dict[str, Any]) -> None:
    """Set the parameters and the attributes of a saved estimator."""
    model.set_params(**{name: _tuples(value) for name, value in record["parameters"].items()})
    check_arguments(model._arguments() if isinstance(model, SBPForecaster) else model.get_params(deep=False))
    model.target_ = Target(**{each.name: _tuples(record["target"][each.name]) for each in fields(Target)})
    Values.of(model.target_)  # raises an error if a field has another type
    model.history_ = record["history"]
    model.n_iter_ = max(history[-1]["step"] for history in model.history_)
    columns = ("features", "sequence_features")
    model._describe(*(None if record[name] is None else Features.from_json(record[name]) for name in columns))
    names = FORECASTER_STRUCTURE if isinstance(model, SBPForecaster) else STRUCTURE
    model._fitted_with = {name: getattr(model, name) for name in names}
    if isinstance(model, SBPForecaster):
        model._restore(record["forecaster"])


def _plain(name: str, value: Any) -> Any:
    """A parameter as a JSON value."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, tuple | list | range):
        return [_plain(name, each) for each in value]
    if name == "random_state" and not isinstance(value, int | None):
        return None
    if value is None or isinstance(value, str | bool | int | float):
        return value
    raise InputError(f"{name}: expected a value that can be saved as JSON, got {type(value).__name__}")


def _tuples(value: Any) -> Any:
    return tuple(_tuples(each) for each in value) if isinstance(value, list) else value
