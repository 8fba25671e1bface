"""The published implementation, `gluonts.torch.distributions`, behind the interface of the measurements."""

import sys
import types
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from sbp_jax.errors import InputError
from sbp_jax.evaluation.conformance.case import Case
from sbp_jax.evaluation.conformance.implementation import Implementation, Shape


class Reference(Implementation):
    """gluonts, float32 unless the case is double; a batch of n equal distributions for n outcomes."""

    name = "gluonts.torch"

    def __init__(self, torch: Any, distributions: Any) -> None:
        self._torch = torch
        self._distributions = distributions

    @classmethod
    def load(cls) -> "Reference | None":
        """Return the installed package, or None.

        `gluonts.torch` itself imports Lightning, which only its estimators need. If Lightning is missing, load the
        package without running that file; its distributions are the same.

        Raises:
            InputError: gluonts is installed but cannot be imported.
        """
        if find_spec("torch") is None or find_spec("gluonts") is None:
            return None
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                torch, gluonts = import_module("torch"), import_module("gluonts")
                if find_spec("lightning") is None and "gluonts.torch" not in sys.modules:
                    package = types.ModuleType("gluonts.torch")
                    package.__path__ = [str(Path(folder) / "torch") for folder in gluonts.__path__]
                    sys.modules["gluonts.torch"] = package
                return cls(torch, import_module("gluonts.torch.distributions"))
        except ImportError as error:
            raise InputError(f"gluonts is installed but cannot be imported: {error}") from error

    def accepts(self, xi: float) -> bool:
        shape = self._torch.full((1, 1), xi)
        try:
            self._distributions.GeneralizedPareto(shape, self._torch.full((1, 1), 1.5))
        except ValueError:
            return False
        return True

    def log_prob(self, case: Case, y: np.ndarray) -> np.ndarray:
        with self._settings(case.double):
            return _numpy(self._dist(case, y.shape).log_prob(self._torch.tensor(y, dtype=self._dtype(case))))

    def density(self, case: Case, y: np.ndarray) -> np.ndarray:
        with self._settings(case.double):
            return _numpy(self._dist(case, y.shape).pdf(self._torch.tensor(y, dtype=self._dtype(case))))

    def cdf(self, case: Case, y: np.ndarray) -> np.ndarray:
        with self._settings(case.double):
            return _numpy(self._dist(case, y.shape).cdf(self._torch.tensor(y, dtype=self._dtype(case))))

    def icdf(self, case: Case, q: np.ndarray) -> np.ndarray:
        with self._settings(case.double):
            return _numpy(self._dist(case, q.shape).icdf(self._torch.tensor(q, dtype=self._dtype(case))))

    def log_survival(self, case: Case, y: np.ndarray) -> np.ndarray:
        with np.errstate(divide="ignore"):
            return np.log1p(-self.cdf(case, y))  # gluonts has no survival function

    def cdf_slope(self, case: Case, y: np.ndarray) -> np.ndarray:
        with self._settings(case.double):
            at = self._torch.tensor(y, dtype=self._dtype(case), requires_grad=True)
            return _numpy(*self._torch.autograd.grad(self._dist(case, y.shape).cdf(at).sum(), at))

    def gradient(self, case: Case, y: np.ndarray) -> np.ndarray:
        with self._settings(case.double):
            tails = self._tails(case, y.shape)
            value = self._dist(case, y.shape, tails).log_prob(self._torch.tensor(y, dtype=self._dtype(case)))
            upper_xi, upper_beta, lower_xi, lower_beta = self._torch.autograd.grad(value.sum(), tails)
            return np.concatenate([_numpy(g) for g in (lower_xi, upper_xi, lower_beta, upper_beta)], axis=-1)

    def mean_training_gradient(self, case: Case, y: np.ndarray, weight: np.ndarray) -> np.ndarray:
        with self._settings(case.double):
            logits = self._torch.tensor(case.logits, dtype=self._dtype(case), requires_grad=True)
            at, by = (self._torch.tensor(values, dtype=self._dtype(case)) for values in (y, weight))
            dist = self._dist(case, y.shape, logits=logits.expand(*y.shape, -1))
            return _numpy(*self._torch.autograd.grad((by * dist.log_prob(at)).sum(), logits))

    def mean(self, case: Case) -> float:
        with self._settings(case.double):
            return self._dist(case, (1,)).mean.item()

    def variance(self, case: Case) -> float:
        with self._settings(case.double):
            return self._dist(case, (1,)).variance().item()

    def sample(self, case: Case, batch: Shape, sample_shape: Shape, seed: int) -> np.ndarray:
        with self._settings(case.double), self._torch.random.fork_rng(devices=[]):
            self._torch.manual_seed(seed)
            return _numpy(self._dist(case, batch).sample(self._torch.Size(sample_shape)))

    def log_prob_shape(self, case: Case, batch: Shape, outcomes: Shape) -> Shape:
        with self._settings(case.double):
            return tuple(self._dist(case, batch).log_prob(self._torch.zeros(outcomes)).shape)

    def pareto(self, xi: np.ndarray, beta: float, z: float) -> tuple[np.ndarray, np.ndarray]:
        with self._settings(False):
            shape = self._torch.tensor(np.asarray(xi, np.float32)[:, None], requires_grad=True)
            dist = self._distributions.GeneralizedPareto(shape, self._torch.full_like(shape, beta))
            value = dist.log_prob(self._torch.full(shape.shape[:1], z))
            (slope,) = self._torch.autograd.grad(value.sum(), shape)
            return _numpy(value), _numpy(slope)[:, 0]

    def pareto_quantile(self, xi: float, beta: float, q: float) -> float:
        with self._settings(False):
            full = self._torch.full
            return (
                self._distributions.GeneralizedPareto(full((1, 1), xi), full((1, 1), beta)).icdf(full((1,), q)).item()
            )

    def binned(self, case: Case, y: np.ndarray) -> np.ndarray:
        module = import_module("gluonts.torch.distributions.binned_uniforms")
        output = module.BinnedUniformsOutput(*case.ends, len(case.logits))
        logits = output.domain_map(self._logits(case, y.shape))
        return _numpy(output.distribution(logits).log_prob(self._torch.tensor(y, dtype=self._torch.float32)))

    def normal(self, loc: float, scale: float, y: float) -> np.ndarray:
        output = self._distributions.NormalOutput()
        parameters = [self._torch.tensor([value], requires_grad=True) for value in (loc, scale)]
        value = output.distribution(parameters).log_prob(self._torch.tensor([y]))
        slopes = self._torch.autograd.grad(value.sum(), parameters)
        return np.concatenate([_numpy(x) for x in (value, *slopes)])

    @contextmanager
    def _settings(self, double: bool) -> Iterator[None]:
        """Disable argument checks and set the default type of its edges; restore both afterward."""
        distribution = self._torch.distributions.Distribution
        before = self._torch.get_default_dtype(), distribution._validate_args
        self._torch.set_default_dtype(self._torch.float64 if double else self._torch.float32)
        distribution.set_default_validate_args(False)
        try:
            yield
        finally:
            self._torch.set_default_dtype(before[0])
            distribution.set_default_validate_args(before[1])

    def _dtype(self, case: Case) -> Any:
        return self._torch.float64 if case.double else self._torch.float32

    def _logits(self, case: Case, batch: Shape) -> Any:
        return self._torch.tensor(case.logits, dtype=self._dtype(case)).expand(*batch, -1)

    def _tails(self, case: Case, batch: Shape) -> list[Any]:
        """Upper shape and scale, then lower: the order of the gluonts constructor."""
        values = (case.shapes[1], case.scales[1], case.shapes[0], case.scales[0])
        dtype = self._dtype(case)
        return [self._torch.full((*batch, 1), value, dtype=dtype, requires_grad=True) for value in values]

    def _dist(self, case: Case, batch: Shape, tails: list[Any] | None = None, logits: Any = None) -> Any:
        return self._distributions.SplicedBinnedPareto(
            *case.ends,
            self._logits(case, batch) if logits is None else logits,
            *(self._tails(case, batch) if tails is None else tails),
            numb_bins=len(case.logits),
            tail_percentile_gen_pareto=case.tail,
        )


def _numpy(tensor: Any) -> np.ndarray:
    return tensor.detach().numpy().astype(np.float64)
