"""One function per property, which measures it on an implementation.

Bounds for float32: 1e-6 for a probability, 5e-6 max(1, |value|) for a logarithm, 1e-4 max(1, |value|) for a derivative.
"""

from dataclasses import dataclass, field

import numpy as np
from scipy.stats import kstest

from sbp_jax.evaluation.conformance.case import Case, pareto_log_density
from sbp_jax.evaluation.conformance.implementation import Implementation, Shape

WIDTHS = (0.02, 0.3, 1.0, 7.0)
NEAR_ZERO = (1e-8, 1e-6, 1e-3)
EXCESS, SCALE = 6.0, 1.5
LOG_BOUND, SLOPE_BOUND = 5e-6, 1e-4
STATIONARY_BOUND = 1e-6  # of a mean gradient, in nats: the error of `Case.fine_nodes`
DRAWS = 20_000


@dataclass(frozen=True)
class Finding:
    """The result of a measurement: text, numbers, and whether the property holds."""

    text: str
    holds: bool
    values: dict[str, float | int] = field(default_factory=dict)


def total_mass(width: float, side: Implementation) -> Finding:
    """Measure the integral of the density over the real line."""
    case = Case.uneven(width)
    points, weights = case.nodes()
    total = float(weights @ side.density(case, case.rounded(points)))
    return Finding(f"{total:.7f}", abs(total - 1) < 1e-6, {"mass": total})


def log_density(side: Implementation) -> Finding:
    """Compare the default log_prob with the log-density, at bin width 1, where a bin's mass is its density."""
    case = Case.uneven()
    y = case.outcomes()
    error = side.log_prob(case, y) - case.log_density(y)
    t_l, t_u = case.thresholds
    tails = (y < t_l) | (y > t_u)
    tail, body = _largest(error[tails]), _largest(error[~tails])
    holds = _close(side.log_prob(case, y), case.log_density(y), LOG_BOUND)
    return Finding(f"off by up to {tail:.2g} in the tails, {body:.2g} in the body", holds, {"tail": tail, "body": body})


def truth_is_stationary(side: Implementation) -> Finding:
    """Measure the mean gradient in the logits, of the log-likelihood that trains, over the distribution itself."""
    case = Case.uneven(double=True)
    y, weight = case.fine_nodes()
    gradient = _largest(side.mean_training_gradient(case, y, weight * np.exp(case.log_density(y))))
    return Finding(f"{gradient:.1e}", gradient < STATIONARY_BOUND, {"gradient": gradient})


def round_trip(case: Case, side: Implementation) -> Finding:
    """Measure cdf(icdf(q)) - q over both tails and the body."""
    tail = np.geomspace(1e-5, 0.045, 60)
    q = case.rounded(np.concatenate([tail, np.linspace(0.055, 0.945, 181), 1 - tail]))
    error = _largest(side.cdf(case, case.rounded(side.icdf(case, q))) - q)
    return Finding(f"{error:.1e}", error < 1e-6, {"error": error})


def monotone(side: Implementation) -> Finding:
    """Measure the largest decrease of the cdf on an increasing grid, for even and peaked bins."""
    fall = 0.0
    for case in (Case.uneven(), Case.peaked()):
        rising = side.cdf(case, np.unique(case.rounded(np.linspace(-80.0, 120.0, 8001))))
        fall = max(fall, _largest(np.minimum(np.diff(rising), 0.0)))
    return Finding(f"{fall:.1e}", fall < 2e-7, {"fall": fall})


def order(side: Implementation) -> Finding:
    """Compare cdf and icdf of shuffled inputs with the shuffled cdf and icdf."""
    case = Case.uneven()
    shuffle = np.random.default_rng(0).permutation(501)
    y, q = case.rounded(np.linspace(-60.0, 80.0, 501)), case.rounded(np.linspace(0.001, 0.999, 501))
    error = max(
        _largest(side.cdf(case, y[shuffle]) - side.cdf(case, y)[shuffle]),
        _largest(side.icdf(case, q[shuffle]) - side.icdf(case, q)[shuffle]),
    )
    return Finding(f"{error:.1e}", error == 0, {"error": error})


def slope(side: Implementation) -> Finding:
    """Measure the density over the cdf's difference quotient, in float64, on the middle half of the body's bins."""
    texts, values, holds = [], {}, True
    for width in WIDTHS:
        case = Case.uneven(width, double=True)
        low, high = case.body()
        quotient = (side.cdf(case, high) - side.cdf(case, low)) / (high - low)
        ratio = side.density(case, (low + high) / 2) / quotient
        holds &= bool(np.all(np.abs(ratio - 1) < 1e-9))
        values[f"{width:g}"] = float(np.median(ratio))
        texts.append(f"{np.median(ratio):.4g}")
    return Finding(", ".join(texts), holds, values)


def cdf_gradient(side: Implementation) -> Finding:
    """Compare d cdf / dy by automatic differentiation with the density, in every bin and both tails."""
    case = Case.uneven()
    y = case.outcomes()
    slopes, density = side.cdf_slope(case, y), np.exp(case.log_density(y))
    fraction = float(np.mean(np.isnan(slopes)))
    error = _largest(slopes / density - 1)
    text = f"NaN at {fraction:.0%} of the points" if fraction else f"off by up to {error:.1e} of it"
    holds = _close(slopes / density, np.ones_like(density), SLOPE_BOUND)
    return Finding(text, holds, {"nan": fraction, "error": error})


def far_tail(side: Implementation) -> Finding:
    """Measure log P(Y > y) at increasing distances beyond the upper threshold."""
    case = Case.uneven()
    y = case.rounded(case.thresholds[1] + np.array([1e1, 1e3, 1e5]))
    values = side.log_survival(case, y)
    return Finding(listed(values), _close(values, case.log_survival(y), LOG_BOUND), _named("at", values))


def shape_near_zero(xi: float, side: Implementation) -> Finding:
    """Measure the log-density of a tail and its derivative in the shape."""
    (value,), (derivative,) = side.pareto(np.array([xi]), SCALE, EXCESS)
    expected = pareto_log_density(np.array([np.float64(np.float32(xi))]), SCALE, EXCESS)
    holds = _close(value, expected[0], LOG_BOUND) and _close(derivative, expected[1], SLOPE_BOUND)
    return Finding(f"{value:.5g}; {derivative:.5g}", holds, {"log_density": value, "derivative": derivative})


def shape_zero(side: Implementation) -> Finding:
    """Check that a tail of shape exactly 0 can be built; measure its quantile, log-density and derivative in xi."""
    quantile = side.pareto_quantile(0.0, SCALE, 0.9)
    (value,), (derivative,) = side.pareto(np.zeros(1), SCALE, EXCESS)
    expected = pareto_log_density(np.zeros(1), SCALE, EXCESS)
    holds = _close(value, expected[0], LOG_BOUND) and _close(derivative, expected[1], SLOPE_BOUND)
    holds &= _close(quantile, -SCALE * np.log(0.1), 1e-5) and side.accepts(0.0)
    text = f"{_accepted(side, 0.0)}; {quantile:.5g}; {value:.5g}; {derivative:.5g}"
    return Finding(text, holds, {"quantile": quantile, "log_density": value, "derivative": derivative})


def shape_negative(side: Implementation) -> Finding:
    """Measure log_prob beyond the support at shape -0.2, and NaN gradients in the tails' parameters in the body."""
    case = Case.uneven().with_shape(-0.2)
    beyond = case.rounded(case.thresholds[1] + 5 * case.scales[1] * np.array([1.5, 10.0]))
    low, high = case.body()
    value = side.log_prob(case, beyond)
    fraction = float(np.mean(np.any(np.isnan(side.gradient(case, (low + high) / 2)), axis=-1)))
    holds = bool(np.all(value == -np.inf)) and fraction == 0 and side.accepts(-0.2)
    text = f"{_accepted(side, -0.2)}; {value[0]:g}; {f'NaN at {fraction:.0%}' if fraction else 'no NaN'}"
    return Finding(text, holds, {"beyond": float(value[0]), "nan": fraction})


def missing(side: Implementation) -> Finding:
    """Measure log_prob of a NaN outcome."""
    (value,) = side.log_prob(Case.uneven(), np.array([np.nan]))
    return Finding(f"{value:g}", bool(np.isnan(value)), {"log_prob": float(value)})


def moment(which: int, side: Implementation) -> Finding:
    """Measure the mean (0) or variance (1)."""
    case = Case.uneven()
    value = (side.mean, side.variance)[which](case)
    return Finding(f"{value:.6g}", _close(value, case.moments()[which], LOG_BOUND), {"found": value})


def broadcasting(side: Implementation) -> Finding:
    """Measure the shape of log_prob for pairs of batch and outcomes that NumPy would broadcast."""
    pairs: tuple[tuple[Shape, Shape], ...] = (((), ()), ((4,), (7, 1)), ((4, 1), (4, 1)), ((4, 1), (3,)))
    texts, holds = [], True
    for batch, outcomes in pairs:
        try:
            shape = side.log_prob_shape(Case.uneven(), batch, outcomes)
        except Exception as error:  # as in `catalogue.measure`
            texts.append(type(error).__name__)
            holds = False
        else:
            texts.append(_shape(shape))
            holds &= shape == np.broadcast_shapes(batch, outcomes)
    return Finding(", ".join(texts), holds)


def distinct(side: Implementation) -> Finding:
    """Count the distinct numbers in sample((2, 3)) from a batch of four."""
    draws = side.sample(Case.uneven(), (4,), (2, 3), seed=0)
    count = len(np.unique(draws))
    return Finding(f"{_shape(draws.shape)}, {count} differ", draws.shape == (2, 3, 4) and count == 24, {"count": count})


def kolmogorov_smirnov(side: Implementation) -> Finding:
    """Measure the largest distance between the empirical cdf of draws and the distribution's, times sqrt(n)."""
    case = Case.uneven()
    draws = side.sample(case, (DRAWS,), (), seed=0)
    distance = float(kstest(draws, case.cdf).statistic * np.sqrt(DRAWS))
    return Finding(f"{distance:.2f}", distance < 1.95, {"statistic": distance})


def binned_baseline(side: Implementation) -> Finding:
    """Measure log_prob of the histogram alone, built from raw outputs."""
    case = Case.uneven(0.3)
    low, high = case.body()
    y = case.rounded((low + high) / 2)
    error = _largest(side.binned(case, y) - case.log_density(y))
    return Finding(f"off by up to {error:.1e}", _close(side.binned(case, y), case.log_density(y), LOG_BOUND))


def gaussian_baseline(side: Implementation) -> Finding:
    """Measure log_prob of a Gaussian and its derivatives in location and scale."""
    values = side.normal(1.0, 2.0, 4.0)
    expected = np.array([-0.5 * 1.5**2 - np.log(2.0) - 0.5 * np.log(2 * np.pi), 1.5 / 2, (1.5**2 - 1) / 2])
    return Finding(listed(values), _close(values, expected, LOG_BOUND), _named("figure", values))


def _largest(values: np.ndarray) -> float:
    """Largest absolute value; NaN if any value is NaN."""
    return float(np.max(np.abs(values)))


def _close(actual: object, expected: object, bound: float) -> bool:
    actual, expected = np.asarray(actual), np.asarray(expected)
    return bool(np.all(np.abs(actual - expected) <= bound * np.maximum(1.0, np.abs(expected))))


def _accepted(side: Implementation, xi: float) -> str:
    return "accepted" if side.accepts(xi) else "rejected; without its check"


def listed(values: object) -> str:
    """Return numbers to four digits, separated by commas."""
    return ", ".join(f"{v:.4g}" for v in np.asarray(values))


def _named(name: str, values: np.ndarray) -> dict[str, float]:
    return {f"{name}_{k}": float(v) for k, v in enumerate(values)}


def _shape(shape: Shape) -> str:
    return "[" + ", ".join(map(str, shape)) + "]"
