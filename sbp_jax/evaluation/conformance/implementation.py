"""The interface that measurements use: NumPy in, NumPy out."""

import abc

import numpy as np

from sbp_jax.evaluation.conformance.case import Case

Shape = tuple[int, ...]


class Implementation(abc.ABC):
    """One implementation. Outcomes and probabilities are arrays [n]; its exceptions propagate."""

    name: str

    @abc.abstractmethod
    def accepts(self, xi: float) -> bool:
        """Return whether a tail can be built with this shape; all other calls disable argument checks."""

    @abc.abstractmethod
    def log_prob(self, case: Case, y: np.ndarray) -> np.ndarray:
        """Return the result of its default `log_prob`."""

    @abc.abstractmethod
    def density(self, case: Case, y: np.ndarray) -> np.ndarray:
        """Return its density."""

    @abc.abstractmethod
    def cdf(self, case: Case, y: np.ndarray) -> np.ndarray:
        """Return P(Y <= y)."""

    @abc.abstractmethod
    def icdf(self, case: Case, q: np.ndarray) -> np.ndarray:
        """Quantiles."""

    @abc.abstractmethod
    def log_survival(self, case: Case, y: np.ndarray) -> np.ndarray:
        """Return log P(Y > y), by the most accurate method that it offers."""

    @abc.abstractmethod
    def cdf_slope(self, case: Case, y: np.ndarray) -> np.ndarray:
        """Return d cdf / dy by automatic differentiation."""

    @abc.abstractmethod
    def gradient(self, case: Case, y: np.ndarray) -> np.ndarray:
        """Return the gradient of each default log_prob(y) in both shapes and both scales, [n, 4]."""

    @abc.abstractmethod
    def mean_training_gradient(self, case: Case, y: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """Return the gradient in the logits of the weighted log-likelihood that trains a network, [K]."""

    @abc.abstractmethod
    def mean(self, case: Case) -> float:
        """Expected value."""

    @abc.abstractmethod
    def variance(self, case: Case) -> float:
        """Return the variance."""

    @abc.abstractmethod
    def sample(self, case: Case, batch: Shape, sample_shape: Shape, seed: int) -> np.ndarray:
        """Return draws from a batch of equal distributions, sample_shape + batch."""

    @abc.abstractmethod
    def log_prob_shape(self, case: Case, batch: Shape, outcomes: Shape) -> Shape:
        """Return the shape of log_prob for a batch of equal distributions and outcomes of that shape."""

    @abc.abstractmethod
    def pareto(self, xi: np.ndarray, beta: float, z: float) -> tuple[np.ndarray, np.ndarray]:
        """Return the log-density of a single tail at excess z, and its derivative in xi, float32."""

    @abc.abstractmethod
    def pareto_quantile(self, xi: float, beta: float, q: float) -> float:
        """Return the quantile of a single tail, float32."""

    @abc.abstractmethod
    def binned(self, case: Case, y: np.ndarray) -> np.ndarray:
        """Return log_prob of the Binned baseline, built from the raw outputs of a network."""

    @abc.abstractmethod
    def normal(self, loc: float, scale: float, y: float) -> np.ndarray:
        """Return log_prob of the Gaussian baseline and its derivatives in location and scale, [3]."""
