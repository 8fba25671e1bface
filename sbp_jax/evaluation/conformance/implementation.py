"""What a measurement may ask of an implementation: NumPy in, NumPy out."""

import abc

import numpy as np

from sbp_jax.evaluation.conformance.case import Case

Shape = tuple[int, ...]


class Implementation(abc.ABC):
    """One implementation. Outcomes and probabilities are arrays [n]; what the implementation raises passes through."""

    name: str

    @abc.abstractmethod
    def accepts(self, xi: float) -> bool:
        """Whether a tail can be built with this shape; every other call is made with checks of arguments off."""

    @abc.abstractmethod
    def log_prob(self, case: Case, y: np.ndarray) -> np.ndarray:
        """What its `log_prob` returns by default."""

    @abc.abstractmethod
    def density(self, case: Case, y: np.ndarray) -> np.ndarray:
        """What it calls the density."""

    @abc.abstractmethod
    def cdf(self, case: Case, y: np.ndarray) -> np.ndarray:
        """P(Y <= y)."""

    @abc.abstractmethod
    def icdf(self, case: Case, q: np.ndarray) -> np.ndarray:
        """Quantiles."""

    @abc.abstractmethod
    def log_survival(self, case: Case, y: np.ndarray) -> np.ndarray:
        """log P(Y > y), the best way that it offers."""

    @abc.abstractmethod
    def cdf_slope(self, case: Case, y: np.ndarray) -> np.ndarray:
        """d cdf / dy by automatic differentiation."""

    @abc.abstractmethod
    def gradient(self, case: Case, y: np.ndarray) -> np.ndarray:
        """Gradient of each default log_prob(y) in both shapes and both scales, [n, 4]."""

    @abc.abstractmethod
    def mean(self, case: Case) -> float:
        """Expected value."""

    @abc.abstractmethod
    def variance(self, case: Case) -> float:
        """Variance."""

    @abc.abstractmethod
    def sample(self, case: Case, batch: Shape, sample_shape: Shape, seed: int) -> np.ndarray:
        """Draws from a batch of equal distributions, sample_shape + batch."""

    @abc.abstractmethod
    def log_prob_shape(self, case: Case, batch: Shape, outcomes: Shape) -> Shape:
        """Shape of log_prob for a batch of equal distributions and outcomes of that shape."""

    @abc.abstractmethod
    def pareto(self, xi: np.ndarray, beta: float, z: float) -> tuple[np.ndarray, np.ndarray]:
        """Log-density of a single tail at excess z, and its derivative in xi, float32."""

    @abc.abstractmethod
    def pareto_quantile(self, xi: float, beta: float, q: float) -> float:
        """Quantile of a single tail, float32."""

    @abc.abstractmethod
    def binned(self, case: Case, y: np.ndarray) -> np.ndarray:
        """log_prob of the Binned baseline, built from the raw outputs of a network."""

    @abc.abstractmethod
    def normal(self, loc: float, scale: float, y: float) -> np.ndarray:
        """log_prob of the Gaussian baseline and its derivatives in location and scale, [3]."""
