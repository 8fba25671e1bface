"""Speed and memory of the distribution: against the published implementation, by rows and bins, and on a GPU."""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.benchmarks.timing import by_setting, extra_memory, in_turn, median_ms
from sbp_jax.distributions import GeneralizedPareto, SplicedBinnedPareto
from sbp_jax.evaluation.conformance.reference import Reference
from sbp_jax.reporting.style import COLORS, figure
from sbp_jax.reporting.tables import records_table

PARTS = ("reference", "steps", "growth", "bandwidth")
TITLE = "Speed and memory of the distribution"
BINS = 100
# target speedups over the published implementation
RATIOS = {("likelihood and gradient", 16384): 8, ("likelihood and gradient", 131072): 4, ("cdf", 16384): 10}
RATIOS[("icdf", 16384)] = 10

REFERENCE_TABLE = """
work | rows | allocator | gluonts, ms | ours, ms | times faster | target
{work} | {rows:,} | {allocator} | {reference} | {ours_ms:.2f} | {ratio:.1f} | {target}
"""
STEPS_TABLE = """
form | rows | forward, ms | with gradient, ms | memory forward | memory with gradient
{form} | {rows:,} | {forward_ms:.2f} | {gradient_ms:.2f} | {forward_memory:.2f} | {gradient_memory:.2f}
"""
GROWTH_TABLE = """
rows | bins | with gradient, ms | ns per row and bin | copy of the logits, ns
{rows:,} | {bins} | {gradient_ms:.2f} | {gradient_ns:.2f} | {copy_ns:.2f}
"""
BANDWIDTH_TABLE = """
work at 2^20 x 100 | ms | GB/s | share of the copy
{work} | {ms:.3f} | {gb_per_s:.0f} | {share_of_copy:.0%}
"""
TAIL_MASS = 0.05


def ours(logits, edges, shape, scale, y):
    """Return the package's log-likelihood, with values and derivatives in closed form."""
    return _dist(logits, edges, shape, scale).log_prob(y)


def plain(logits, edges, shape, scale, y):
    """Compute the log-likelihood by cumulative sums and gathers, differentiated automatically."""
    p = jax.nn.softmax(logits)
    return _spliced(p, jnp.cumsum(p, -1), jnp.cumsum(p[:, ::-1], -1)[:, ::-1], _gather, edges, shape, scale, y)


def triangle(logits, edges, shape, scale, y):
    """Compute cumulative sums as products with a triangle of ones, and select bins by comparison, not by a gather."""
    p = jax.nn.softmax(logits)
    ones = jnp.triu(jnp.ones((p.shape[-1], p.shape[-1]), p.dtype))
    precise = jax.lax.Precision.HIGHEST
    below, above = jnp.matmul(p, ones, precision=precise), jnp.matmul(p, ones.T, precision=precise)
    return _spliced(p, below, above, _compare, edges, shape, scale, y)


VARIANTS = {"plain": plain, "triangle and comparison": triangle, "closed forms": ours}


def _dist(logits, edges, shape, scale):
    tail = GeneralizedPareto(shape, scale)
    return SplicedBinnedPareto(logits, edges, tail, tail, (TAIL_MASS, TAIL_MASS))


def _spliced(p, below, above, select, edges, shape, scale, y):
    """log f for equal shapes and scales on both sides; `below` and `above` are inclusive sums from either end."""
    edges = jnp.asarray(edges, p.dtype)
    width = edges[1:] - edges[:-1]
    k_l = jnp.sum(below < TAIL_MASS, axis=-1)
    t_l = edges[k_l + 1] - width[k_l] * (select(below, k_l) - TAIL_MASS) / select(p, k_l)
    k_u = p.shape[-1] - 1 - jnp.sum(above < TAIL_MASS, axis=-1)
    t_u = edges[k_u] + width[k_u] * (select(above, k_u) - TAIL_MASS) / select(p, k_u)
    k = jnp.clip(jnp.searchsorted(edges, y, side="right") - 1, 0, p.shape[-1] - 1)
    body = jnp.log(select(p, k)) - jnp.log(width[k])
    excess = jnp.maximum(jnp.where(y < t_l, t_l - y, y - t_u), 0.0)
    tail = jnp.log(TAIL_MASS) - jnp.log(scale) - (1 + 1 / shape) * jnp.log1p(shape * excess / scale)
    return jnp.where((y < t_l) | (y > t_u), tail, body)


def _gather(values, index):
    return jnp.take_along_axis(values, index[:, None], axis=-1)[:, 0]


def _compare(values, index):
    return jnp.sum(jnp.where(jnp.arange(values.shape[-1])[None, :] == index[:, None], values, 0.0), axis=-1)


def inputs(rows: int, bins: int) -> tuple[np.ndarray, ...]:
    """Draw logits [rows, bins], edges [bins + 1], shapes, scales, outcomes and probabilities [rows], all float32."""
    rng = np.random.default_rng(0)
    arrays = (
        rng.normal(size=(rows, bins)),
        np.linspace(-3.0, 3.0, bins + 1),
        rng.uniform(0.05, 0.4, rows),
        rng.uniform(0.5, 2.0, rows),
        2 * rng.normal(size=rows),
        rng.uniform(0.001, 0.999, rows),
    )
    return tuple(a.astype(np.float32) for a in arrays)


def compiled(function: Callable[..., Any], *arrays: Any) -> Any:
    """Compile the function for these arrays."""
    return jax.jit(function).lower(*arrays).compile()


def gradient_of(log_prob: Callable[..., Any], edges: np.ndarray) -> Callable[..., Any]:
    """Return the mean negative log-likelihood with its gradient in logits, shapes and scales, as a function."""

    def loss(parameters, y):
        logits, shape, scale = parameters
        return -jnp.mean(log_prob(logits, edges, shape, scale, y))

    return jax.value_and_grad(loss)


class Likelihood:
    """A form of the log-likelihood at a number of rows and bins, its gradient, and a copy of the logits."""

    def __init__(self, rows: int, bins: int, form: Callable[..., Any] = ours) -> None:
        logits, self.edges, shape, scale, y, _ = inputs(rows, bins)
        self.form, self.y = form, jnp.asarray(y)
        self.parameters = tuple(jnp.asarray(a) for a in (logits, shape, scale))

    @cached_property
    def forward(self) -> Any:
        """Compiled: (parameters, y) -> log-densities."""
        return compiled(lambda p, y: self.form(p[0], self.edges, p[1], p[2], y), self.parameters, self.y)

    @cached_property
    def both(self) -> Any:
        """Compiled: (parameters, y) -> the mean negative log-likelihood and its gradient."""
        return compiled(gradient_of(self.form, self.edges), self.parameters, self.y)

    @cached_property
    def copy(self) -> Any:
        """Compiled: logits -> logits plus one."""
        return compiled(lambda x: x + 1, self.parameters[0])

    def calls(self) -> dict[str, Callable[[], Any]]:
        """Return all three calls by name."""
        return {
            "copy": lambda: self.copy(self.parameters[0]),
            "forward": lambda: self.forward(self.parameters, self.y),
            "forward and gradient": lambda: self.both(self.parameters, self.y),
        }


def our_calls(rows: int) -> dict[str, Callable[[], Any]]:
    """Return the package's compiled calls by work."""
    _, edges, _, _, _, q = inputs(rows, BINS)
    ours = Likelihood(rows, BINS)
    parameters, y = ours.parameters, ours.y
    cdf = compiled(lambda p, y: _dist(p[0], edges, *p[1:]).cdf(y), parameters, y)
    icdf = compiled(lambda p, q: _dist(p[0], edges, *p[1:]).icdf(q), parameters, q)
    return {
        "likelihood and gradient": ours.calls()["forward and gradient"],
        "cdf": lambda: cdf(parameters, y),
        "icdf": lambda: icdf(parameters, q),
    }


def reference_calls(published: Reference, rows: int) -> dict[str, Callable[[], Any]]:
    """Return the published implementation's calls by work."""
    torch, distributions = published._torch, published._distributions
    logits, edges, shape, scale, y, q = (torch.tensor(a) for a in inputs(rows, BINS))
    y, q, shape, scale = (a[:, None] for a in (y, q, shape, scale))

    def dist(logits, shape, scale):
        low, high = float(edges[0]), float(edges[-1])
        return distributions.SplicedBinnedPareto(
            low, high, logits, shape, scale, shape, scale, BINS, TAIL_MASS, validate_args=False
        )

    def gradient():
        leaves = [a.clone().requires_grad_() for a in (logits, shape, scale)]
        (-dist(*leaves).log_prob(y[:, 0]).mean()).backward()
        return float(leaves[0].grad[0, 0])

    def without_graph(call):
        def run():
            with torch.no_grad():
                return float(call().sum())

        return run

    fixed = dist(logits, shape, scale)
    return {
        "likelihood and gradient": gradient,
        "cdf": without_graph(lambda: fixed.cdf(y[:, 0])),
        "icdf": without_graph(lambda: fixed.icdf(q[:, 0])),
    }


def reference(seconds: float) -> list[dict[str, Any]]:
    """Time both implementations in turn, in ms, one row per work; None for a reference that is not installed."""
    published, rows = Reference.load(), []
    for count in (16384, 131072):
        works = [work for work, n in RATIOS if n == count]
        own, other = our_calls(count), {} if published is None else reference_calls(published, count)
        for work in works:
            calls = {"ours": own[work]} | ({"reference": other[work]} if published else {})
            times = in_turn(calls, seconds)
            row = {"work": work, "rows": count, "ours_ms": median_ms(times["ours"]), "target": RATIOS[work, count]}
            rows.append(row | {"reference_ms": median_ms(times["reference"]) if published else None})
    return rows


def steps(seconds: float) -> list[dict[str, Any]]:
    """Measure each form of the log-likelihood: milliseconds, and memory in arrays of the logits' size."""
    table = []
    for rows in (16384, 131072):
        forms = {name: Likelihood(rows, BINS, form) for name, form in VARIANTS.items()}
        times = {
            work: in_turn({name: each.calls()[work] for name, each in forms.items()}, seconds)
            for work in ("forward", "forward and gradient")
        }
        for name, each in forms.items():
            row = {"form": name, "rows": rows, "forward_ms": median_ms(times["forward"][name])}
            row |= {"gradient_ms": median_ms(times["forward and gradient"][name])}
            size = each.parameters[0].nbytes
            memory = {"forward_memory": each.forward, "gradient_memory": each.both}
            table.append(row | {key: extra_memory(program, size) for key, program in memory.items()})
    return table


def growth(seconds: float) -> list[dict[str, Any]]:
    """Time likelihood and gradient over rows (10^3 to 10^6, at 100 bins) and bins (20 to 800, at 16,384 rows).

    In turn with a copy of the logits, which moves as many bytes as a gradient must: memory is slower than the caches.
    """
    sizes = [(rows, BINS) for rows in (1000, 3162, 10000, 31623, 100000, 316228, 1000000)]
    sizes += [(16384, bins) for bins in (20, 50, 100, 200, 400, 800)]
    rows = []
    for count, bins in sizes:
        calls = Likelihood(count, bins).calls()
        calls = {work: calls[work] for work in ("forward and gradient", "copy")}
        ours, copies = (median_ms(times) for times in in_turn(calls, seconds).values())
        rows.append({"rows": count, "bins": bins, "gradient_ms": ours, "copy_ms": copies})
    return rows


def bandwidth(seconds: float) -> list[dict[str, Any]] | None:
    """Compare the bytes that must move at 2^20 x 100 with the device's own copy; None without a GPU."""
    if jax.devices()[0].platform == "cpu":
        return None
    # each array once: the forward pass reads it, and the gradient pass also writes it
    moved = {"copy": 2.0, "forward": 1.0, "forward and gradient": 2.0}
    ms = {work: median_ms(times) for work, times in in_turn(Likelihood(2**20, BINS).calls(), seconds).items()}
    rates = {work: moved[work] * 2**20 * BINS * 4 / (each * 1e6) for work, each in ms.items()}
    return [
        {"work": work, "gb_per_s": rate, "share_of_copy": rate / rates["copy"], "ms": ms[work]}
        for work, rate in rates.items()
    ]


def report(results: dict[str, Any], out: Path) -> list[str]:
    """Return the results as Markdown paragraphs, and draw the figure."""
    _growth_figure(out / "growth.png", results["growth"])
    gpu = results["bandwidth"]
    growth = [
        row | {f"{work}_ns": 1e6 * row[f"{work}_ms"] / (row["rows"] * row["bins"]) for work in ("gradient", "copy")}
        for row in results["growth"]
    ]
    return [
        "## Against the published implementation\n\n100 bins, float32, both sides in turn in one process, medians. "
        '"Kept": glibc keeps freed memory, in large pages. A ratio compares the two times of its row; at 131,072 '
        "rows the published implementation's better time is the one to beat.",
        records_table(REFERENCE_TABLE, [_against_reference(row) for row in by_setting(results["reference"])]),
        "## Gain of each step\n\nThe same log-likelihood as plain JAX code, differentiated automatically; with "
        "cumulative sums as matrix products and bins selected by comparison; and in this package's closed forms. "
        "Memory is what the compiled function needs beyond inputs and outputs, in arrays of the logits' size.",
        records_table(STEPS_TABLE, results["steps"]),
        "## Growth with rows and bins\n\nNext to a copy of the logits (`x + 1`), measured in turn, which moves as many "
        "bytes as a gradient must.",
        records_table(GROWTH_TABLE, growth),
        "![time against rows and bins](growth.png)",
        "## Bytes moved on a GPU",
        "Not measured: JAX found no GPU on this machine. The same command measures it on a machine with one."
        if gpu is None
        else records_table(BANDWIDTH_TABLE, gpu),
    ]


def _against_reference(row: dict[str, Any]) -> dict[str, Any]:
    if row["reference_ms"] is None:
        return row | {"reference": "not installed", "ratio": None}
    return row | {"reference": f"{row['reference_ms']:.1f}", "ratio": row["reference_ms"] / row["ours_ms"]}


def _growth_figure(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Draw time against rows and bins on logarithmic axes, with lines of linear growth."""
    by_rows = [r for r in rows if r["bins"] == BINS and r["rows"] != 16384]
    by_bins = [r for r in rows if r["rows"] == 16384]
    with figure(path, 9.0, 3.6) as drawing:
        panels = ((by_rows, "rows", f"{BINS} bins"), (by_bins, "bins", "16,384 rows"))
        for ax, (points, axis, title) in zip(drawing.subplots(1, 2), panels, strict=True):
            x, y = [p[axis] for p in points], [p["gradient_ms"] for p in points]
            ax.loglog(x, y, "o-", color=COLORS["sbp"], label="likelihood and gradient")
            ax.loglog(x, [p["copy_ms"] for p in points], "--", color="grey", label="copy of the logits")
            middle = len(x) // 2
            ax.loglog(x, [y[middle] * v / x[middle] for v in x], ":", color="black", label="linear")
            ax.set(xlabel=axis, ylabel="milliseconds", title=title)
            ax.legend()
