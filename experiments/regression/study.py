"""Fit and evaluate the models on each split, store each result in its own file, and compute intervals over splits."""

import json
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import jax
import numpy as np
import polars as pl
from scipy.stats import t as student
from tqdm import tqdm

from experiments.regression.models import MODELS, Model, tune
from experiments.regression.predictive import EXTREMES, METRICS, TAIL, scores
from experiments.regression.sets import SETS, Data
from sbp_jax.atomic import atomic_write
from sbp_jax.errors import InputError
from sbp_jax.evaluation.statistics import LEVEL, MeanInterval

ORACLE = "Oracle"  # the true distributions of simulated data, a bound on what any model can reach
SECONDS = ("seconds_tune", "seconds_fit", "seconds_predict")
Task = tuple[str, str, int]  # set, model, split
Result = dict[str, Any]


def chosen(kind: str, names: Iterable[str], known: Iterable[str]) -> list[str]:
    """Return the names, or all known ones where none is given; raise InputError for an unknown name."""
    names, known = list(names), list(known)
    for name in names:
        if name not in known:
            raise InputError(f"--{kind}: unknown {name!r}; known: {', '.join(map(repr, known))}")
    return names or known


def tasks(sets: Iterable[str], models: Iterable[str], splits: int) -> list[Task]:
    """Return every combination of set, model and split; simulated sets also have the oracle."""
    models = list(models)
    return [
        (name, model, split)
        for name in sets
        for model in (*models, *([ORACLE] if SETS[name].truth else []))
        for split in range(splits)
    ]


def measure(data: Data, model: Model, split: int, width: float) -> Result:
    """Fit a model to the training part of a split and return its metrics on the test part, and how it was fitted."""
    train, test = (data.part(rows) for rows in data.split(split))
    times = [time.perf_counter()]
    config, rounds, failed = tune(model, train, split)
    times.append(time.perf_counter())
    predict, _ = model.fit(train, config, None, rounds)
    times.append(time.perf_counter())
    dist = predict(test.x)
    dist.quantile(np.array([0.5, *EXTREMES]))
    times.append(time.perf_counter())
    threshold = float(np.quantile(train.y, TAIL))
    values = scores(dist, test.y, threshold, width)
    if threshold >= train.y.max():  # no outcome is above the threshold
        values["twcrps"] = None
    values |= dict(zip(SECONDS, np.diff(times).tolist(), strict=True))
    return {**values, "train": len(train.y), "test": len(test.y), "config": " ".join(config.values()), "failed": failed}


def compute(task: Task, rows: int) -> Result:
    """Return the result of a task, or its `error` where the model cannot be fitted."""
    name, model, split = task
    data, result = SETS[name].load(rows), {"set": name, "model": model, "split": split}
    own = Model(lambda *_: (data.truth, None)) if model == ORACLE else MODELS[model]  # pyright: ignore[reportArgumentType]
    try:
        return result | measure(data, own, split, SETS[name].width)
    except Exception as error:  # some packages have their own
        return result | {"error": f"{type(error).__name__}: {str(error).splitlines()[0][:200]}"}


def run(wanted: list[Task], root: Path, rows: int) -> list[Result]:
    """Return the results of the tasks, in order; compute those without a file, and those whose file has an error.

    Args:
        wanted: the tasks.
        root: folder of the results, one file each.
        rows: maximum number of rows per set.
    """
    files = {task: root / task[0] / f"{task[1].lower()}-{task[2]}.json" for task in wanted}
    results = {task: json.loads(file.read_text()) for task, file in files.items() if file.is_file()}
    missing = [task for task in wanted if "error" in results.get(task, ["error"])]
    bar = tqdm(missing, initial=len(wanted) - len(missing), total=len(wanted), desc="regression", unit=" fits")
    for before, task in zip([None, *missing], bar, strict=False):
        if before is not None and before[0] != task[0]:
            jax.clear_caches()  # programs of all sets together would exceed the system's limit of mapped memory
        bar.set_postfix_str(" ".join(map(str, task)))
        results[task] = compute(task, rows)
        files[task].parent.mkdir(parents=True, exist_ok=True)
        atomic_write(files[task], (json.dumps(results[task], indent=1) + "\n").encode())
    return [results[task] for task in wanted]


def table(results: Iterable[Result]) -> pl.DataFrame:
    """Return one row per set, model and split, with the metrics; null where a model has none."""
    keys = ("set", "model", "split", "config", *METRICS, *SECONDS, "train", "test", "error")
    return pl.DataFrame([{key: each.get(key) for key in keys} for each in results], infer_schema_length=None)


def corrected(differences: np.ndarray, ratio: float) -> MeanInterval:
    """Return the mean of paired differences over overlapping splits, with the corrected resampled t interval.

    half = t(0.975, J - 1) s sqrt(1 / J + n_test / n_train), after Nadeau and Bengio (2003).

    Args:
        differences: differences of J splits.
        ratio: n_test / n_train.

    Example:
        >>> corrected(np.array([1.0, 2.0, 3.0]), 0.25).text(2)
        '2.00 ± 3.29'
    """
    count, mean = len(differences), float(np.mean(differences))
    if count < 2:
        return MeanInterval(mean, float("nan"), count)
    error = float(np.std(differences, ddof=1)) * (1 / count + ratio) ** 0.5
    return MeanInterval(mean, float(student.ppf(0.5 + LEVEL / 2, count - 1)) * error, count)
