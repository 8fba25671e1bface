"""Train the members of a grid on a Ray cluster (extra `ray`): each task trains some of them, and restarts if it dies.

The runs' folder, the prepared plays and this project must have the same path on every node.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from sbp_jax.config import Config
from sbp_jax.errors import InputError
from sbp_jax.runs.datasets import Dataset
from sbp_jax.runs.members import OnDone, groups, is_done, train_members

RETRIES = 5  # restarts of a task whose worker died; it resumes from its newest checkpoint
POLL_S = 2.0


def train_on_ray(
    configs: Sequence[Config],
    dataset: Dataset,
    root: Path,
    on_done: OnDone,
    address: str,
    cpus: float = 1.0,
) -> None:
    """Train every configuration that has no result, in tasks of a Ray cluster.

    Args:
        configs, dataset, root, on_done: see `members.train_members`; `on_done` runs on the worker and must be
            picklable.
        address: address of the cluster ("auto", or its head's host:port); "local" starts one on this machine.
        cpus: processors per task; on a cluster with accelerators, a task also takes one of those.

    Raises:
        InputError: Ray is not installed, there is no cluster, or a task failed.
    """
    try:
        import ray
    except ImportError as error:
        raise InputError("--ray: needs the extra `ray` (pip install 'sbp_jax[ray]')") from error
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # do not send usage statistics
    if not cpus > 0:
        raise InputError(f"--ray-cpus: expected a positive number, got {cpus}")
    try:
        ray.init(address=None if address == "local" else address, ignore_reinit_error=True, log_to_driver=False)
    except (ConnectionError, ValueError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0]
        raise InputError(f"--ray: no cluster at {address!r}: {reason}") from error
    try:
        resources = ray.cluster_resources()
        slots = max(1, int(resources.get("GPU", 0) or resources.get("CPU", 1) // cpus))
        options: dict[str, Any] = {"num_cpus": cpus, "num_gpus": 1 if resources.get("GPU") else 0}
        task = ray.remote(max_retries=RETRIES, **options)(train_members)
        parts = shares(configs, dataset, root, slots)
        waiting = [task.remote(part, dataset, root.absolute(), on_done) for part in parts]
        with tqdm(total=len(configs), desc=f"{len(parts)} tasks on {slots} slots", unit="run") as bar:
            while waiting:
                ready, waiting = ray.wait(waiting, timeout=POLL_S)
                bar.update(sum(is_done(root, config, dataset) for config in configs) - bar.n)
                for each in ready:
                    _result(ray, each)
    finally:
        ray.shutdown()


def shares(configs: Sequence[Config], dataset: Dataset, root: Path, slots: int) -> list[list[Config]]:
    """Return the configurations of each task: they fit into one program, and the tasks fill the slots evenly."""
    resumable, new = groups(configs, dataset, root)
    size = max(1, -(-sum(map(len, new)) // slots))
    parts = list(resumable)
    for group in new:
        count = -(-len(group) // size)
        parts += [group[i::count] for i in range(count)]
    return parts


def _result(ray: Any, reference: Any) -> None:
    try:
        ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        cause = error.cause if isinstance(error.cause, Exception) else error
        raise InputError(f"--ray: a task failed: {type(cause).__name__}: {str(cause).splitlines()[0]}") from error
    except ray.exceptions.WorkerCrashedError as error:
        raise InputError(
            f"--ray: a task's worker died {RETRIES + 1} times; run the same command again to train the rest"
        ) from error
