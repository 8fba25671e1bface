"""The base class of the estimators: scikit-learn's if it is installed, otherwise one with the same methods."""

import inspect
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from sbp_jax.errors import InputError

# arguments on which the meaning of the parameters depends
STRUCTURE = (
    "head",
    "parameterization",
    "shape_bounds",
    "networks",
    "ensemble",
    "hidden",
    "channels",
    "layers",
    "kernel_size",
)

if find_spec("sklearn") is not None and not TYPE_CHECKING:
    from sklearn.base import BaseEstimator, RegressorMixin
    from sklearn.exceptions import DataConversionWarning
    from sklearn.exceptions import NotFittedError as _NotFitted

    class Base(RegressorMixin, BaseEstimator):
        """Estimator whose parameters are the arguments of its constructor."""

    class NotFittedError(_NotFitted, InputError):
        """A method that needs a fitted estimator was called before `fit`."""

else:

    class DataConversionWarning(UserWarning):
        """Outcomes were given as a column."""

    class Base:
        """Estimator whose parameters are the arguments of its constructor."""

        @classmethod
        def _names(cls) -> list[str]:
            return sorted(name for name in inspect.signature(cls.__init__).parameters if name != "self")

        def get_params(self, deep: bool = True) -> dict[str, Any]:
            """Return the parameters by name; `deep` has no effect, because none is an estimator."""
            del deep
            return {name: getattr(self, name) for name in self._names()}

        def set_params(self, **params: Any) -> Any:
            """Set parameters by name and return the estimator; InputError for an unknown name."""
            for name, value in params.items():
                if name not in self._names():
                    raise InputError(f"unknown parameter {name!r}; known: {', '.join(self._names())}")
                setattr(self, name, value)
            return self

        def __repr__(self) -> str:
            """Return the call that makes this estimator, with the arguments that are not the defaults."""
            defaults = {name: p.default for name, p in inspect.signature(type(self).__init__).parameters.items()}
            changed = [f"{n}={v!r}" for n, v in self.get_params().items() if repr(v) != repr(defaults[n])]
            return f"{type(self).__name__}({', '.join(changed)})"

    class NotFittedError(InputError, AttributeError):
        """A method that needs a fitted estimator was called before `fit`."""


class Estimator(Base):
    """What both estimators have: whether they are fitted, and with which arguments."""

    _fitted_with: dict[str, Any]

    def __sklearn_is_fitted__(self) -> bool:
        """Return whether `fit` has succeeded."""
        return hasattr(self, "params_")

    def _check_fitted(self) -> None:
        if not hasattr(self, "params_"):
            raise NotFittedError(f"this {type(self).__name__} is not fitted yet: call fit first")

    def _changed(self) -> list[str]:
        """The arguments that are no longer those of the last fit, on which its parameters depend."""
        return [name for name, value in self._fitted_with.items() if repr(getattr(self, name)) != repr(value)]

    def _check_unchanged(self) -> None:
        changed = self._changed()
        if changed:
            raise InputError(
                f"{changed[0]}: expected the value of the last fit, but it changed; fit again before saving"
            )
