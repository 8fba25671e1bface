"""Simulated marginals against real ones: python -m experiments.marginals FOLDER --real PLAY_BY_PLAY."""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import polars as pl
import tyro

from sbp_jax.cli.flags import parse, run
from sbp_jax.data.readers.rules import Rules
from sbp_jax.data.readers.tables import check_column, read_file
from sbp_jax.data.readers.tracking import read_tracking
from sbp_jax.errors import InputError
from sbp_jax.reporting.style import ACTUAL, COLORS, figure
from sbp_jax.reporting.tables import markdown
from sbp_jax.runs import provenance

PROGRAM = "python -m experiments.marginals"
TAILS = {"Lower": "most", "Upper": "least"}
LEVELS = (0.001, 0.01, 0.05, 0.5, 0.95, 0.99, 0.999)
DOWNS = {0: "all", 1: "1st", 2: "2nd", 3: "3rd", 4: "4th"}
_COLORS = {"simulated": COLORS["oracle"], "real": ACTUAL}
_RESULTS = {"C": "complete", "I": "incomplete", "IN": "intercepted"}
_LAST_REGULAR_WEEK = 17  # of the seasons 2017-2020
_PLAYS_SHOWN = 30  # minimum number of plays of a down for its metrics
_FAR_POINTS, _FAR_YARDS, _FAR_ERRORS = 1.0, 1.5, 3.0  # differences that the list of gaps includes


@dataclass(frozen=True)
class Sample:
    """Passes of one source.

    Attributes:
        result: C, I or IN, [plays].
        yards: integer yards gained, [plays].
        down: 1 to 4, [plays].
        frames: from the snap to the release, both included, [tracked plays]; may be empty.
        frames_down: down of those plays, [tracked plays].
    """

    result: np.ndarray
    yards: np.ndarray
    down: np.ndarray
    frames: np.ndarray
    frames_down: np.ndarray


@dataclass(frozen=True)
class Options:
    """Compare the marginals of simulated passes with those of real ones, over all downs and by down.

    Attributes:
        folder: written by sbp simulate or by the demo's simulator.
        real: play-by-play with result, yards_gained, down, week and nullified, parquet or CSV; optional.
        real_tracking: files or folders of real tracking, for the frames from the snap to the throw.
        out: folder for the results.
    """

    folder: Annotated[Path, tyro.conf.Positional]
    real: Path | None = None
    real_tracking: tuple[Path, ...] = ()
    out: Path = Path("experiments/results/simulator")


def simulated_sample(folder: Path) -> Sample:
    """Read every play of a simulated folder; raise InputError where the folder is not one."""
    listed, truth = folder / "plays.csv", folder / "truth" / "plays.parquet"
    for path in (listed, truth):
        if not path.is_file():
            raise InputError(f"{path}: not found; expected a folder written by the simulator")
    plays = pl.read_csv(listed, columns=["gameId", "playId", "down", "passResult", "offensePlayResult"])
    frames = pl.read_parquet(truth, columns=["gameId", "playId", "release_frames"])
    plays = plays.join(frames, on=["gameId", "playId"], maintain_order="left")
    down, frames = plays["down"].to_numpy(), plays["release_frames"].to_numpy()
    return Sample(plays["passResult"].to_numpy(), plays["offensePlayResult"].to_numpy(), down, frames, down)


def real_sample(path: Path, tracking: tuple[Path, ...]) -> Sample:
    """Read regular-season attempts that counted, and frames of tracked ones; InputError names missing columns."""
    plays = read_file(path)
    for name in ("result", "yards_gained", "down", "week", "nullified"):
        check_column(plays, path, name)
    plays = plays.filter(pl.col("result").is_in(list(_RESULTS)) & ~pl.col("nullified"))
    plays = plays.filter(pl.col("week") <= _LAST_REGULAR_WEEK).drop_nulls(["down", "yards_gained"])
    if plays.is_empty():
        raise InputError(f"{path}: no attempt (result C, I or IN) that counted")
    gained = plays.select(pl.when(pl.col("result") == "C").then("yards_gained").otherwise(0)).to_series()
    frames = down = np.zeros(0)
    if tracking:
        rules = Rules(malformed="drop")
        tracked = pl.concat([chunk.plays for chunk in read_tracking(tracking, rules)], how="vertical_relaxed")
        frames, down = tracked["frames"].to_numpy(), tracked["down"].fill_null(-1).to_numpy()
    return Sample(plays["result"].to_numpy(), gained.to_numpy(), plays["down"].to_numpy(), frames, down)


def measures(sample: Sample, down: int) -> dict[str, float]:
    """Return all marginals by name for the plays of one down (0: all downs); NaN where unknown."""
    here = (sample.down == down) | (down == 0)
    yards, result = sample.yards[here], sample.result[here]
    frames = sample.frames[(sample.frames_down == down) | (down == 0)]
    values: dict[str, float] = {"plays": len(yards)}
    few = len(yards) < _PLAYS_SHOWN
    for code, name in _RESULTS.items():
        values[f"{name}, %"] = np.nan if few else 100 * float(np.mean(result == code))
    values["gain of zero, %"] = np.nan if few else 100 * float(np.mean(yards == 0))
    values["gain below zero, %"] = np.nan if few else 100 * float(np.mean(yards < 0))
    values["mean gain, yd"] = np.nan if few else float(np.mean(yards))
    for level in LEVELS:
        name = f"{100 * level:g} % quantile, yd"
        # without a play beyond it, a sample quantile is the extreme of the sample
        known = len(yards) * min(level, 1 - level) >= 1
        values[name] = float(np.quantile(yards, level, method="inverted_cdf")) if known else np.nan
    values["largest gain, yd"] = np.nan if few else float(yards.max())
    values["plays with frames"] = len(frames)
    for level in (0.05, 0.5, 0.95):
        known = len(frames) * min(level, 1 - level) >= 1 and len(frames) >= _PLAYS_SHOWN
        name = f"frames from snap to throw, {100 * level:g} % quantile"
        values[name] = float(np.quantile(frames, level, method="inverted_cdf")) if known else np.nan
    return values


def table(samples: dict[str, Sample]) -> str:
    """Return all measures as a Markdown table, one column per down and sample."""
    columns = {
        f"{name}, {label}": measures(sample, down) for down, label in DOWNS.items() for name, sample in samples.items()
    }
    names = next(iter(columns.values()))
    rows = [[name, *(_text(name, column[name]) for column in columns.values())] for name in names]
    return markdown(["measure", *columns], rows)


def gaps(samples: dict[str, Sample]) -> list[str]:
    """Return lines on the measures that differ much, by down; for shares, beyond their sampling error as well."""
    lines = []
    for down, label in DOWNS.items():
        simulated, real = (measures(samples[name], down) for name in ("simulated", "real"))
        for name, value in simulated.items():
            other = real[name]
            if name.startswith("plays") or not np.isfinite([value, other]).all():
                continue
            far = _FAR_YARDS
            if name.endswith("%"):
                variance = sum(v * (100 - v) / side["plays"] for v, side in ((value, simulated), (other, real)))
                far = max(_FAR_POINTS, _FAR_ERRORS * variance**0.5)
            if abs(value - other) > far:
                lines.append(f"{label} downs, {name}: {_text(name, value)} simulated, {_text(name, other)} real")
    return lines


def command(args: list[str]) -> None:
    """Measure both samples, print the table, write it with a figure."""
    options = parse(Options, args, PROGRAM, folder="out")
    samples = {"simulated": simulated_sample(options.folder)}
    if options.real is None:
        if options.real_tracking:
            raise InputError("real-tracking: given without --real; name the play-by-play as well")
    else:
        samples["real"] = real_sample(options.real, options.real_tracking)
    title = "Marginals of simulated passes" + " against real ones" * ("real" in samples)
    text = [provenance.heading(title, "experiments.marginals", args), _origin(options.folder), table(samples)]
    if "real" in samples:
        rule = (
            f"{_FAR_POINTS:g} percentage point and {_FAR_ERRORS:g} standard errors, or {_FAR_YARDS:g} yards or frames"
        )
        far = "\n".join(f"- {line}" for line in gaps(samples)) or "- none"
        text.append(f"Differences of more than {rule}:\n\n{far}")
    text += [
        "Quantiles are the smallest value that reaches the level. An interception gains zero, as the league counts;"
        " real plays are attempts of regular seasons that counted. Frames are tenths of a second, including snap and"
        " release. An empty cell has too few plays.",
        "![shares of results, probabilities of yards, both tails, and frames to the throw](marginals.png)",
    ]
    draw(options.out / "marginals.png", samples)
    provenance.write_page(options.out, "marginals", text)
    print("\n\n".join(text[2:-1]))
    print(f"\nwritten to {options.out}: marginals.md, marginals.png")


def _origin(folder: Path) -> str:
    """A sentence on how the plays were simulated."""
    path = folder / "truth" / "simulation.json"
    if not path.is_file():
        raise InputError(f"{path}: not found; expected a folder written by the simulator")
    settings = json.loads(path.read_text(encoding="utf-8"))
    kind = "full seasons" if settings.get("league") else "seasons filled game by game"
    return f"Simulated: {settings['plays']:,} plays, {settings['seasons']} {kind}, seed {settings['seed']}."


def _text(name: str, value: float) -> str:
    if not np.isfinite(value):
        return ""
    return f"{value:.2f}" if name.endswith("%") or name.startswith("mean") else f"{value:,.0f}"


def draw(path: Path, samples: Mapping[str, Sample]) -> None:
    """Draw six panels of the samples ("simulated", "real") to a PNG."""
    with figure(path, 12.6, 6.8) as drawing:
        axes = drawing.subplots(2, 3)
        _shares(axes[0, 0], samples)
        _steps(axes[0, 1], samples, np.arange(-8, 36), np.equal, "Probability of every gain")
        _quantiles(axes[0, 2], samples)
        lower, upper = (f"{tail} tail: share of plays with at {end} x yards" for tail, end in TAILS.items())
        _steps(axes[1, 0], samples, np.arange(-25, 1), np.less_equal, lower)
        _steps(axes[1, 1], samples, np.arange(0, 100), np.greater_equal, upper)
        _frames(axes[1, 2], samples)


def _shares(ax: Any, samples: Mapping[str, Sample]) -> None:
    width = 0.8 / len(samples)
    for k, (name, sample) in enumerate(samples.items()):
        at = np.arange(1, 5) + (k - (len(samples) - 1) / 2) * width
        bottom = np.zeros(4)
        for code, shade in zip(_RESULTS, (0.95, 0.5, 0.2), strict=True):
            here = [sample.result[sample.down == down] for down in range(1, 5)]
            share = np.array([np.mean(codes == code) if len(codes) else 0.0 for codes in here])
            label = name if code == "C" else None
            ax.bar(at, share, 0.92 * width, bottom, color=_COLORS[name], alpha=shade, label=label)
            bottom += share
    ax.set(title="Complete, incomplete, intercepted (from below)", xlabel="down", ylabel="share", xticks=range(1, 5))
    ax.legend(loc="lower left", frameon=True)


def _steps(ax: Any, samples: Mapping[str, Sample], values: np.ndarray, compare: Any, title: str) -> None:
    """Draw the share of plays for which `compare` of yards and value holds; gaps where it is zero."""
    for name, sample in samples.items():
        share = np.array([np.mean(compare(sample.yards, value)) for value in values])
        share = np.where(share > 0, share, np.nan)
        ax.step(values, share, where="mid", color=_COLORS[name], lw=1.4, label=name)
    ax.set(title=title, xlabel="yards", ylabel="share", yscale="log")
    ax.legend()


def _quantiles(ax: Any, samples: Mapping[str, Sample]) -> None:
    if len(samples) < 2:
        ax.set_axis_off()
        return
    simulated, real = (samples[name].yards for name in ("simulated", "real"))
    fewest = min(len(simulated), len(real))
    levels = np.unique(np.concatenate([np.geomspace(1 / fewest, 0.5, 60), 1 - np.geomspace(1 / fewest, 0.5, 60)]))
    x, y = (np.quantile(values, levels, method="inverted_cdf") for values in (real, simulated))
    ends = [min(x.min(), y.min()), max(x.max(), y.max())]
    ax.plot(ends, ends, color="#333333", lw=0.8, ls=":")
    ax.plot(x, y, "o", ms=3.5, color=_COLORS["simulated"])
    ax.set(title="Quantiles of yards", xlabel="real, yards", ylabel="simulated, yards")


def _frames(ax: Any, samples: Mapping[str, Sample]) -> None:
    bins = np.arange(5.5, 80.5, 3.0)
    for name, sample in samples.items():
        if len(sample.frames):
            label = f"{name}, {len(sample.frames):,} plays"
            ax.hist(
                sample.frames, bins.tolist(), density=True, histtype="step", color=_COLORS[name], lw=1.4, label=label
            )
    ax.set(title="Frames from the snap to the throw", xlabel="tenths of a second", ylabel="density")
    ax.legend()


if __name__ == "__main__":
    run(command, sys.argv[1:])
