"""The demo end to end: train two networks on plays, evaluate them, score quarterbacks and draw figures."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import polars as pl

from sbp_jax.config import Config, DataConfig
from sbp_jax.data.plays import Sequences
from sbp_jax.data.prepared.splits import SPLITS
from sbp_jax.data.simulator.simulate import TrueDistribution
from sbp_jax.distributions.base import Distribution
from sbp_jax.evaluation.metrics import LEVELS, Metrics, pp_curve
from sbp_jax.evaluation.predictions import score_outcomes
from sbp_jax.evaluation.statistics import gap_closed
from sbp_jax.reporting import figures
from sbp_jax.reporting.tables import leaderboard_table, metrics_table
from sbp_jax.runs.datasets import open_plays
from sbp_jax.runs.evaluate import oracle
from sbp_jax.runs.run import Run, load_run
from sbp_jax.runs.train import train_folder
from sbp_jax.scoring import League, aggregate, mid_pit, normal_score
from sbp_jax.training.check import check
from sbp_jax.training.stop import StopRequest

# with fewer training plays a network memorizes them and does not beat the marginal distribution
FEW_PLAYS = 1000


@dataclass
class Clock:
    """Seconds by stage."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a stage."""
        start = time.perf_counter()
        yield
        self.seconds[name] = round(time.perf_counter() - start, 2)


def contrasting_plays(dist: Distribution, log_prob: np.ndarray) -> list[tuple[str, int]]:
    """Return the six plays with the most extreme predictive distributions, each with a label.

    Args:
        dist: distribution of the plays' yards, batch shape [N].
        log_prob: log-probability of their outcomes [N].

    Returns:
        Labels and positions of the plays.
    """
    low, high = jnp.array([[-0.5], [30.5], [-jnp.inf]]), jnp.array([[0.5], [jnp.inf], [-0.5]])
    none, long, loss = np.asarray(dist.prob(low, high))  # one call, one compilation
    criteria = {
        "surest to gain nothing": none,
        "least likely to gain nothing": -none,
        "likeliest to gain over 30": long,
        "likeliest to lose yards": loss,
        "narrowest": -np.asarray(dist.crps(dist.median())),
        "least likely outcome": -log_prob,
    }
    selection: list[tuple[str, int]] = []
    for name, value in criteria.items():
        indices = [play for _, play in selection]
        candidates = [int(i) for i in np.argsort(-value) if int(i) not in indices]
        if candidates:
            selection.append((name, candidates[0]))
    return selection


def density_panels(
    dists: dict[str, Distribution], chosen: list[tuple[str, int]], run: Run, plays: Sequences
) -> list[figures.DensityPanel]:
    """Return the panels with the predictive probabilities of the plays from `contrasting_plays`."""
    indices = np.array([i for _, i in chosen])
    lower, upper = run.predict_latent(plays.select(indices)).thresholds()
    yards = np.arange(-20, 81)
    cells = jnp.asarray(yards[:, None], jnp.float32)
    mass = {model: np.exp(np.asarray(dist[indices].log_prob(cells))) for model, dist in dists.items()}
    panels = []
    for k, (name, i) in enumerate(chosen):
        probability = {model: each[:, k] for model, each in mass.items() if model != "marginal"}
        thresholds = float(lower[k]), float(upper[k])
        panels.append(figures.DensityPanel(name, yards, probability, float(plays.outcome[i]), thresholds))
    return panels


def oracle_scores(truth: TrueDistribution, plays: Sequences) -> pl.DataFrame:
    """Score the plays by the oracle, which shows how much of the skill is visible despite the outcomes' noise."""
    dist, y = oracle(truth, plays), jnp.asarray(plays.outcome)
    return pl.DataFrame(
        {"passer_id": plays.passer_id, "passer": plays.passer.astype(str), "game_id": plays.game_id}
        | {"pit": np.asarray(mid_pit(dist, y)), "score": np.asarray(normal_score(dist, y))}
    )


def leaderboard(scores: pl.DataFrame, min_plays: int = 1) -> pl.DataFrame:
    """Return the leaderboard of scored plays, with the league fitted to the same plays."""
    return aggregate(scores, ("career",), League.fit(scores), min_plays=min_plays, bootstraps=0)


def rank_correlation(table: pl.DataFrame, skill: dict[int, float]) -> float:
    """Return Spearman's rank correlation between a leaderboard's scores and the true skill."""
    truth = pl.Series("skill", [skill[passer] for passer in table["passer_id"].to_list()])
    return table.select(pl.corr(truth, "passing_score", method="spearman")).item()


def qualified(scores: pl.DataFrame) -> int:
    """Return the minimum number of plays for the leaderboard: 50, or 1 if no quarterback has that many."""
    most = scores.group_by("passer_id").len()["len"].max()
    return 50 if isinstance(most, int) and most >= 50 else 1


def run_demo(config: Config, out: Path, stop: StopRequest | None = None) -> None:
    """Train the SBP and the Gaussian network of a configuration and write the results; `stop` is the stop request."""
    check(config)
    clock = Clock()
    with clock.stage("data"):
        assert isinstance(config.data, DataConfig), "the demo needs a configuration of plays"
        dataset = open_plays(config.data)
        test = dataset.split("test")
    print(dataset.account())

    runs: dict[str, Run] = {}
    for kind in ("sbp", "gaussian"):
        with clock.stage(f"train_{kind}"):
            variant = replace(config, head=replace(config.head, kind=kind))
            runs[kind] = load_run(train_folder(variant, dataset, out, stop), trust=True)

    with clock.stage("evaluate"):
        dists = {kind: run.predict(test) for kind, run in runs.items()}
        dists["marginal"] = runs["sbp"].marginal(test)
        if dataset.simulated is not None:
            dists["oracle"] = oracle(dataset.truth(), test)
        y = runs["sbp"].outcome.bounded(test)
        outcome_scores = {name: score_outcomes(dist, y) for name, dist in dists.items()}
        models = {name: Metrics.of(each, y).to_dict() for name, each in outcome_scores.items()}

    summary: dict[str, Any] = {
        "models": models,
        "plays": {split: len(dataset.split(split)) for split in SPLITS},
    }
    with clock.stage("score"):
        plays = Sequences.concatenate([dataset.split(name) for name in SPLITS if len(dataset.split(name))])
        scores = runs["sbp"].score(plays)
        table = leaderboard(scores, min_plays=qualified(scores))
        truth = None
        if dataset.simulated is not None:
            skill, truth_of_plays = dataset.skill(), dataset.truth()
            truth = figures.Truth(skill, rank_correlation(table, skill))
            ideal = leaderboard(oracle_scores(truth_of_plays, plays), min_plays=qualified(scores))
            summary["skill_rank_correlation"] = truth.rank_correlation
            summary["skill_rank_correlation_oracle"] = rank_correlation(ideal, skill)
            held_out = leaderboard(scores[len(dataset.split("train")) :])
            summary["skill_rank_correlation_held_out"] = rank_correlation(held_out, skill)
            crps = {name: metrics["crps"] for name, metrics in models.items()}
            summary["crps_gap_closed"] = {
                kind: gap_closed(crps[kind], crps["marginal"], crps["oracle"]) for kind in ("sbp", "gaussian")
            }

    with clock.stage("figures"):
        folder = out / "figures"
        figures.training_curves(
            folder / "training.png", {k: list(r.metrics.iter_rows(named=True)) for k, r in runs.items()}
        )
        examples = contrasting_plays(dists["sbp"], outcome_scores["sbp"].log_prob)
        figures.predictive_densities(folder / "densities.png", density_panels(dists, examples, runs["sbp"], test))
        shares = {name: pp_curve(each.pit_low, each.pit_high) for name, each in outcome_scores.items()}
        figures.pp_plot(folder / "pp.png", LEVELS, shares, lower=0.05, upper=0.95)
        figures.leaderboard(folder / "leaderboard.png", table, truth)

    summary |= {"data": dataset.report(), "seconds": clock.seconds}
    out.mkdir(parents=True, exist_ok=True)
    (out / "summary.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    text = report(summary, table) + "\n" + dataset.account() + "\n"
    (out / "summary.md").write_text(text, encoding="utf-8")
    print("\n" + report(summary, table))
    print(f"written to {out}: summary.json, summary.md, figures/")


def report(summary: dict[str, Any], table: pl.DataFrame) -> str:
    """Return the results as Markdown."""
    plays = summary["plays"]
    parts = [
        f"Plays: {plays['train']} for training, {plays['validation']} for validation, {plays['test']} for testing.",
        metrics_table(summary["models"]),
    ]
    if plays["train"] < FEW_PLAYS:
        parts.append(
            f"With fewer than {FEW_PLAYS} training plays this run only shows that the files can be used; it does not "
            "measure how good a network is."
        )
    if "crps_gap_closed" in summary:
        closed = summary["crps_gap_closed"]
        parts.append(
            f"Of the CRPS gap between marginal and oracle, the SBP network closes {closed['sbp']:.0%}, "
            f"the Gaussian network {closed['gaussian']:.0%}. Rank correlation of the quarterbacks' scores with their "
            f"true skill: {summary['skill_rank_correlation']:.2f} over all plays, where scores by the true "
            f"distribution itself reach {summary['skill_rank_correlation_oracle']:.2f}; "
            f"{summary['skill_rank_correlation_held_out']:.2f} over the held-out plays."
        )
    parts.append("Quarterbacks by passing score over all plays, including training plays (the network sees no names):")
    parts.append(leaderboard_table(table, most=10))
    seconds = ", ".join(f"{name} {value:.0f}" for name, value in summary["seconds"].items())
    parts.append(f"Seconds by stage of this call, which reuses existing results: {seconds}.")
    return "\n\n".join(parts) + "\n"
