"""Speed and memory of the law: against the published implementation, over rows and bins, and on a GPU."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.benchmarks import distribution_page as tables
from experiments.benchmarks import variants
from experiments.benchmarks.timing import extra_memory, in_turn, median_ms
from sbp_jax.evaluation.conformance.reference import Reference

PARTS = ("peer", "steps", "growth", "bandwidth")
TITLE = "Speed and memory of the law"
BINS = 100
# what the project means to reach: times faster than the published implementation
RATIOS = {("likelihood and gradient", 16384): 8, ("likelihood and gradient", 131072): 4, ("cdf", 16384): 10}
RATIOS[("icdf", 16384)] = 10
LARGEST_GIB = 4.0


def inputs(rows: int, bins: int) -> tuple[np.ndarray, ...]:
    """logits [rows, bins], edges [bins + 1], shapes, scales and outcomes [rows], probabilities [rows]; float32."""
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
    """The function compiled for these arrays."""
    return jax.jit(function).lower(*arrays).compile()


def gradient_of(log_prob: Callable[..., Any], edges: np.ndarray) -> Callable[..., Any]:
    """Mean negative log-likelihood and its gradient in logits, shapes and scales."""

    def loss(parameters, y):
        logits, shape, scale = parameters
        return -jnp.mean(log_prob(logits, edges, shape, scale, y))

    return jax.value_and_grad(loss)


def our_calls(rows: int) -> dict[str, Callable[[], Any]]:
    """The package's calls, compiled, by work."""
    logits, edges, shape, scale, y, q = inputs(rows, BINS)
    parameters = tuple(jnp.asarray(a) for a in (logits, shape, scale))
    y, q = jnp.asarray(y), jnp.asarray(q)
    gradient = compiled(gradient_of(variants.ours, edges), parameters, y)
    cdf = compiled(lambda p, y: variants._law(p[0], edges, *p[1:]).cdf(y), parameters, y)
    icdf = compiled(lambda p, q: variants._law(p[0], edges, *p[1:]).icdf(q), parameters, q)
    return {
        "likelihood and gradient": lambda: gradient(parameters, y),
        "cdf": lambda: cdf(parameters, y),
        "icdf": lambda: icdf(parameters, q),
    }


def peer_calls(peer: Reference, rows: int) -> dict[str, Callable[[], Any]]:
    """The published implementation's calls, by work."""
    torch, distributions = peer._torch, peer._distributions
    logits, edges, shape, scale, y, q = (torch.tensor(a) for a in inputs(rows, BINS))
    y, q, shape, scale = (a[:, None] for a in (y, q, shape, scale))

    def law(logits, shape, scale):
        low, high = float(edges[0]), float(edges[-1])
        return distributions.SplicedBinnedPareto(
            low, high, logits, shape, scale, shape, scale, BINS, variants.TAIL_MASS, validate_args=False
        )

    def gradient():
        leaves = [a.clone().requires_grad_() for a in (logits, shape, scale)]
        (-law(*leaves).log_prob(y[:, 0]).mean()).backward()
        return float(leaves[0].grad[0, 0])

    def without_graph(call):
        def run():
            with torch.no_grad():
                return float(call().sum())

        return run

    fixed = law(logits, shape, scale)
    return {
        "likelihood and gradient": gradient,
        "cdf": without_graph(lambda: fixed.cdf(y[:, 0])),
        "icdf": without_graph(lambda: fixed.icdf(q[:, 0])),
    }


def peer(seconds: float) -> list[dict[str, Any]]:
    """One row a work: milliseconds of both sides, measured in turn; the peer's is None where it is not installed."""
    published, rows = Reference.load(), []
    for count in (16384, 131072):
        works = [work for work, n in RATIOS if n == count]
        mine, theirs = our_calls(count), {} if published is None else peer_calls(published, count)
        for work in works:
            calls = {"ours": mine[work]} | ({"peer": theirs[work]} if published else {})
            times = in_turn(calls, seconds)
            row = {"work": work, "rows": count, "ours_ms": median_ms(times["ours"]), "target": RATIOS[work, count]}
            rows.append(row | {"peer_ms": median_ms(times["peer"]) if published else None})
    return rows


def steps(seconds: float) -> list[dict[str, Any]]:
    """What each form of the log-likelihood costs: milliseconds, and memory in arrays of the logits' size."""
    return [row for rows in (16384, 131072) for row in _steps(seconds, rows)]


def _steps(seconds: float, rows: int) -> list[dict[str, Any]]:
    logits, edges, shape, scale, y, _ = inputs(rows, BINS)
    parameters, y = tuple(jnp.asarray(a) for a in (logits, shape, scale)), jnp.asarray(y)
    forward = {
        name: compiled(lambda p, y, f=f: f(p[0], edges, p[1], p[2], y), parameters, y)
        for name, f in variants.VARIANTS.items()
    }
    both = {name: compiled(gradient_of(f, edges), parameters, y) for name, f in variants.VARIANTS.items()}
    forward_times = in_turn({n: lambda c=c: c(parameters, y) for n, c in forward.items()}, seconds)
    both_times = in_turn({n: lambda c=c: c(parameters, y) for n, c in both.items()}, seconds)
    return [
        {
            "form": name,
            "rows": rows,
            "forward_ms": median_ms(forward_times[name]),
            "gradient_ms": median_ms(both_times[name]),
            "forward_memory": extra_memory(forward[name], logits.nbytes),
            "gradient_memory": extra_memory(both[name], logits.nbytes),
        }
        for name in variants.VARIANTS
    ]


def growth(seconds: float) -> list[dict[str, Any]]:
    """Likelihood and gradient over rows (10^3 to 10^6, at 100 bins) and bins (20 to 800, at 16,384 rows).

    In turn with a copy of the logits, which reads and writes what a gradient must: past the caches' size memory itself
    is slower.
    """
    sizes = [(rows, BINS) for rows in (1000, 3162, 10000, 31623, 100000, 316228, 1000000)]
    sizes += [(16384, bins) for bins in (20, 50, 100, 200, 400, 800)]
    rows = []
    for count, bins in sizes:
        logits, edges, shape, scale, y, _ = inputs(count, bins)
        parameters, y = tuple(jnp.asarray(a) for a in (logits, shape, scale)), jnp.asarray(y)
        call = compiled(gradient_of(variants.ours, edges), parameters, y)
        copy = compiled(lambda x: x + 1, parameters[0])
        calls = {"ours": lambda c=call, p=parameters, y=y: c(p, y), "copy": lambda c=copy, x=parameters[0]: c(x)}
        ours, copies = (median_ms(times) for times in in_turn(calls, seconds).values())
        rows.append({"rows": count, "bins": bins, "gradient_ms": ours, "copy_ms": copies})
    return rows


def bandwidth(seconds: float) -> list[dict[str, Any]] | None:
    """On a GPU: bytes that must move at 2^20 x 100 against the device's own copy; None without one."""
    if jax.devices()[0].platform == "cpu":
        return None
    logits, edges, shape, scale, y, _ = inputs(2**20, BINS)
    parameters, y = tuple(jnp.asarray(a) for a in (logits, shape, scale)), jnp.asarray(y)
    copy = compiled(lambda x: x + 1, parameters[0])
    forward = compiled(lambda p, y: variants.ours(p[0], edges, p[1], p[2], y), parameters, y)
    both = compiled(gradient_of(variants.ours, edges), parameters, y)
    calls = {
        "copy": lambda: copy(parameters[0]),
        "forward": lambda: forward(parameters, y),
        "forward and gradient": lambda: both(parameters, y),
    }
    times = in_turn(calls, seconds)
    # each array once: read by the forward pass, and the gradient written besides
    moved = {"copy": 2.0, "forward": 1.0, "forward and gradient": 2.0}
    rates = {n: moved[n] * logits.nbytes / (median_ms(t) * 1e6) for n, t in times.items()}
    return [
        {"work": n, "gb_per_s": rates[n], "share_of_copy": rates[n] / rates["copy"], "ms": median_ms(times[n])}
        for n in calls
    ]


def report(results: dict[str, Any], out: Path) -> list[str]:
    """The results as paragraphs of Markdown; the figure is drawn beside them."""
    tables.growth_figure(out / "growth.png", results["growth"], BINS)
    gpu = results["bandwidth"]
    return [
        "## Against the published implementation\n\n100 bins, float32, both sides in turn in one process, medians. "
        '"Kept": glibc is told to keep freed memory, in large pages. A ratio is of the '
        "two figures of its line; at 131,072 rows the published implementation's better figure is the one to beat.",
        tables.peer_table(results["peer"]),
        "## What each step gained\n\nThe same log-likelihood as plain JAX code, differentiated automatically; with its "
        "cumulative sums as matrix products and bins picked by comparison; and in this package's closed forms. Memory: "
        "what the compiled function needs beyond inputs and outputs, in arrays of the logits' size.",
        tables.steps_table(results["steps"]),
        "## Growth with rows and bins\n\nBeside a copy of the logits (`x + 1`), measured in turn: it reads and writes "
        "what a gradient must.",
        tables.growth_table(results["growth"]),
        "![time against rows and bins](growth.png)",
        "## Bytes moved on a GPU",
        "Not measured: JAX found no GPU on this machine. The same command measures it where there is one."
        if gpu is None
        else tables.bandwidth_table(gpu),
    ]
