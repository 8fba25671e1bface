"""Baselines behind the interface of the distributions: SPOT, DSPOT, NN-SPOT, XGBoost, and GluonTS's own SBP."""

from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal

import numpy as np

from experiments.capabilities.approaches import BINS, RATE, STEPS, Descent, Fitted, Lacking, Sample, edges_of, head_of
from sbp_jax.errors import InputError
from sbp_jax.evaluation import boosting
from sbp_jax.evaluation.conformance import Case, Reference
from sbp_jax.evaluation.detectors import Side, Spot, dspot, nn_spot, spot

TREES = boosting.Trees(depth=3, weight=1.0, rounds=100)
TAIL = 0.05  # mass of each tail of the published distribution


@dataclass(frozen=True, eq=False)
class Detector(Fitted):
    """A detector of the SPOT family, calibrated on the sample as a time series and applied to further draws.

    Attributes:
        name: name of the detector; "NN-SPOT" is given the true mean of each state, the best possible prediction.
        sample: calibration sample.
    """

    name: Literal["SPOT", "DSPOT", "NN-SPOT"]
    sample: Sample

    def lacking(self, what: str) -> Lacking:
        return Lacking(f"no {what}: tails alone")

    def beyond(self, rate: float, side: Side) -> np.ndarray:
        """Return the median of the threshold over the values of each state, [S]."""
        how = Spot(rate, side)
        (before, earlier), (after, state) = self.sample.stream(), self.sample.again().stream()
        match self.name:
            case "SPOT":
                alarms = spot(before, after, how)
            case "DSPOT":
                alarms = dspot(before, after, how)
            case "NN-SPOT":
                means = self.sample.means
                expected = {"expected_calibration": means[earlier], "expected_stream": means[state]}
                alarms = nn_spot(before, after, how, **expected)
        return np.array([np.median(alarms.threshold[state == k]) for k in range(len(self.sample.states))])

    def cdf(self, y: np.ndarray) -> np.ndarray:
        try:
            self.beyond(0.5, "upper")
        except InputError as error:
            raise Lacking(f"no distribution of the base: {error}") from error
        raise self.lacking("distribution of the base")

    def descent(self, rate: float) -> Descent:
        raise Lacking("no gradient: the threshold is counted")


@dataclass(frozen=True, eq=False)
class Point(Fitted):
    """XGBoost's prediction of the median, [S]."""

    predicted: np.ndarray

    @classmethod
    def fit(cls, sample: Sample) -> "Point":
        """Fit trees on the state of the input by absolute error."""
        y, state = sample.stream()
        predict = boosting.grown(TREES, state[:, None].astype(float), y, "absolute", 0)
        return cls(predict(np.arange(len(sample.states))[:, None].astype(float)))

    def lacking(self, what: str) -> Lacking:
        return Lacking(f"no {what}: a point ({', '.join(f'{value:.3g}' for value in self.predicted)})")


@dataclass(frozen=True, eq=False)
class Published(Fitted):
    """GluonTS's SplicedBinnedPareto, trained by its own loss through its own map of outputs.

    Attributes:
        reference: adapter that evaluates it.
        cases: fitted parameters in each state.
        start, slope: value and slope of its threshold before the descent, [S].
    """

    reference: Reference
    cases: list[Case]
    start: np.ndarray
    slope: np.ndarray

    def beyond(self, rate: float, side: Side) -> np.ndarray:
        level = np.array([1 - rate if side == "upper" else rate])
        return np.concatenate([self.reference.icdf(case, level) for case in self.cases])

    def cdf(self, y: np.ndarray) -> np.ndarray:
        return np.stack([self.reference.cdf(case, row) for case, row in zip(self.cases, y, strict=True)])

    def density(self, y: np.ndarray) -> np.ndarray:
        return np.stack([self.reference.density(case, row) for case, row in zip(self.cases, y, strict=True)])

    def descent(self, rate: float) -> Descent:
        if rate != TAIL:
            raise self.lacking(f"gradient of the threshold of {rate:g}")
        return Descent(self.start, self.slope, self.beyond(rate, "upper"))


def published(reference: Reference, sample: Sample) -> Published:
    """Fit GluonTS's distribution to a sample, with the start and number of steps of this project's distributions."""
    torch = import_module("torch")
    edges, head = edges_of(sample.y), head_of("sbp", sample.y)
    initial = head.init_from_data(sample.y.ravel())
    logits, (lower_xi, lower_beta, upper_xi, upper_beta) = initial[:BINS], _tails(head, initial)
    # its map takes absolute values; a constant added to all logits changes no probability
    given = [logits - logits.min() + 1.0, *([value] for value in (upper_xi, upper_beta, lower_xi, lower_beta))]
    output = import_module("gluonts.torch.distributions").SplicedBinnedParetoOutput(edges[0], edges[-1], BINS, TAIL)
    cases, starts, slopes = [], [], []
    for y in torch.tensor(sample.y):
        raw = [torch.tensor(np.asarray(value), dtype=torch.float32, requires_grad=True) for value in given]

        def dist(rows: int, raw: list[Any] = raw) -> Any:
            return output.distribution([value.expand(rows, -1) for value in output.domain_map(*raw)])

        threshold = dist(1).icdf(torch.tensor([1 - TAIL])).sum()
        along = torch.autograd.grad(threshold, raw, allow_unused=True)
        down = torch.autograd.grad(-dist(len(y)).log_prob(y).mean(), raw)
        starts.append(threshold.item())
        slopes.append(-sum(float((a * b).sum()) for a, b in zip(along, down, strict=True) if a is not None))
        rule = torch.optim.Adam(raw, lr=RATE)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(rule, STEPS)
        for _ in range(STEPS):
            rule.zero_grad()
            (-dist(len(y)).log_prob(y).mean()).backward()
            rule.step()
            schedule.step()
        fitted = [value.detach().numpy().astype(np.float64) for value in output.domain_map(*raw)]
        upper_xi, upper_beta, lower_xi, lower_beta = (float(value[0]) for value in fitted[1:])
        ends = float(edges[0]), float(edges[-1])
        cases.append(Case(fitted[0], ends, (lower_xi, upper_xi), (lower_beta, upper_beta), TAIL))
    return Published(reference, cases, np.array(starts), np.array(slopes))


def _tails(head: Any, raw: np.ndarray) -> tuple[float, float, float, float]:
    """Shape and scale of the lower tail, then of the upper one."""
    dist = head(raw)
    lower_xi, lower_beta, upper_xi, upper_beta = (
        float(value) for tail in (dist.lower, dist.upper) for value in (tail.shape, tail.scale)
    )
    return lower_xi, lower_beta, upper_xi, upper_beta
