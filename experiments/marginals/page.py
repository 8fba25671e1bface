"""Marginals of passes drawn side by side: results by down, yards in the body and both tails, frames to the throw."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from sbp_jax.reporting.style import ACTUAL, COLOURS, figure

_COLOURS = {"simulated": COLOURS["oracle"], "real": ACTUAL}
_RESULTS = {"C": "complete", "I": "incomplete", "IN": "intercepted"}


@dataclass(frozen=True)
class Sample:
    """Passes of one source.

    Attributes:
        result: C, I or IN, [plays].
        yards: whole yards gained, [plays].
        down: 1 to 4, [plays].
        frames: from the snap to the release, both counted, [tracked plays]; may be empty.
        frames_down: down of those, [tracked plays].
    """

    result: np.ndarray
    yards: np.ndarray
    down: np.ndarray
    frames: np.ndarray
    frames_down: np.ndarray


def draw(path: Path, samples: Mapping[str, Sample]) -> None:
    """Six panels of the samples ("simulated", "real") as PNG."""
    with figure(path, 12.6, 6.8) as drawing:
        axes = drawing.subplots(2, 3)
        _shares(axes[0, 0], samples)
        _body(axes[0, 1], samples)
        _quantiles(axes[0, 2], samples)
        _tail(axes[1, 0], samples, upper=False)
        _tail(axes[1, 1], samples, upper=True)
        _frames(axes[1, 2], samples)


def _shares(ax: Axes, samples: Mapping[str, Sample]) -> None:
    width = 0.8 / len(samples)
    for k, (name, sample) in enumerate(samples.items()):
        at = np.arange(1, 5) + (k - (len(samples) - 1) / 2) * width
        bottom = np.zeros(4)
        for code, shade in zip(_RESULTS, (0.95, 0.5, 0.2), strict=True):
            here = [sample.result[sample.down == down] for down in range(1, 5)]
            share = np.array([np.mean(codes == code) if len(codes) else 0.0 for codes in here])
            ax.bar(
                at, share, 0.92 * width, bottom, color=_COLOURS[name], alpha=shade, label=name if code == "C" else None
            )
            bottom += share
    ax.set(title="Complete, incomplete, intercepted (from below)", xlabel="down", ylabel="share", xticks=range(1, 5))
    ax.legend(loc="lower left", frameon=True)


def _body(ax: Axes, samples: Mapping[str, Sample]) -> None:
    values = np.arange(-8, 36)
    for name, sample in samples.items():
        share = [np.mean(sample.yards == value) for value in values]
        ax.step(values, share, where="mid", color=_COLOURS[name], lw=1.4, label=name)
    ax.set(title="Probability of every gain", xlabel="yards", ylabel="share", yscale="log")
    ax.legend()


def _quantiles(ax: Axes, samples: Mapping[str, Sample]) -> None:
    if len(samples) < 2:
        ax.set_axis_off()
        return
    simulated, real = (samples[name].yards for name in ("simulated", "real"))
    fewest = min(len(simulated), len(real))
    levels = np.unique(np.concatenate([np.geomspace(1 / fewest, 0.5, 60), 1 - np.geomspace(1 / fewest, 0.5, 60)]))
    x, y = (np.quantile(values, levels, method="inverted_cdf") for values in (real, simulated))
    ends = [min(x.min(), y.min()), max(x.max(), y.max())]
    ax.plot(ends, ends, color="#333333", lw=0.8, ls=":")
    ax.plot(x, y, "o", ms=3.5, color=_COLOURS["simulated"])
    ax.set(title="Quantiles of yards", xlabel="real, yards", ylabel="simulated, yards")


def _tail(ax: Axes, samples: Mapping[str, Sample], upper: bool) -> None:
    for name, sample in samples.items():
        values = np.arange(0, 100) if upper else np.arange(-25, 1)
        beyond = [np.mean(sample.yards >= v) if upper else np.mean(sample.yards <= v) for v in values]
        share = np.where(np.array(beyond) > 0, beyond, np.nan)
        ax.step(values, share, where="mid", color=_COLOURS[name], lw=1.4, label=name)
    title = "Upper tail: share of at least so many yards" if upper else "Lower tail: share of at most so many yards"
    ax.set(title=title, xlabel="yards", ylabel="share", yscale="log")
    ax.legend()


def _frames(ax: Axes, samples: Mapping[str, Sample]) -> None:
    bins = np.arange(5.5, 80.5, 3.0)
    for name, sample in samples.items():
        if len(sample.frames):
            label = f"{name}, {len(sample.frames):,} plays"
            ax.hist(
                sample.frames, bins.tolist(), density=True, histtype="step", color=_COLOURS[name], lw=1.4, label=label
            )
    ax.set(title="Frames from the snap to the throw", xlabel="tenths of a second", ylabel="density")
    ax.legend()
