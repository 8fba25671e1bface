"""Checkpoints of arrays by name, with a JSON record beside them: Orbax writes them, `stored` reads what it wrote."""

import logging
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp

from sbp_jax.atomic import disk_full
from sbp_jax.digests import arrays_digest, described, json_digest
from sbp_jax.errors import InputError
from sbp_jax.training.array_files import DamagedError, read_arrays, read_json

# Orbax and its storage layer tell every save at INFO and WARNING; a failed one raises.
logging.getLogger("absl").setLevel(logging.ERROR)
_log = logging.getLogger(__name__)

# What a checkpoint holds: the training's state, the best parameters so far, the network's statistics.
TREES = ("state", "best", "constants")
FORMAT = 2  # raise it when the files are laid out otherwise
_BLOCK = 4096  # of most file systems
_RECORD_BYTES = 16 * 2**20  # a history of some 50,000 epochs
Like = dict[str, Any] | Callable[[dict[str, Any]], dict[str, Any]]


def named(tree: Any) -> dict[str, Any]:
    """The tree's leaves by their path: {"params.tcn.blocks.0.first.kernel": array, ...}."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {jax.tree_util.keystr(path, simple=True, separator="."): leaf for path, leaf in leaves}


@dataclass(frozen=True)
class Saved:
    """A checkpoint that was read.

    Attributes:
        step: its number.
        trees: by name, those that were asked for.
        record: the JSON record.
    """

    step: int
    trees: dict[str, Any]
    record: dict[str, Any]


class Checkpoints:
    """The checkpoints of one run, numbered by step; the newest two are kept.

    A save is complete or absent: a run killed while saving goes on from the one before. What is read is compared with
    digests of what was written. Where the newest is damaged, a line on the log of this module says so, and the one
    before is used; a writer puts the damaged one aside as `damaged-STEP`.

    Args:
        folder: where they live; made at the first save.
        read_only: nothing is written, nor put aside.
    """

    def __init__(self, folder: str | Path, read_only: bool = False):
        self.folder = Path(folder).absolute()
        self.read_only = read_only
        self._writer: ocp.CheckpointManager | None = None

    @property
    def steps(self) -> list[int]:
        """The steps of all checkpoints, in order."""
        if not self.folder.is_dir():
            return []
        names = [path.name for path in self.folder.iterdir() if path.is_dir()]
        return sorted(int(name) for name in names if name.isdecimal() and name == str(int(name)))

    @property
    def latest(self) -> int | None:
        """Step of the newest checkpoint."""
        return max(self.steps, default=None)

    def save(self, step: int, trees: dict[str, Any], record: dict[str, Any]) -> None:
        """Write the trees of arrays, one for each name in `TREES`, and the JSON record as the checkpoint of `step`.

        Raises:
            OSError: the disk is full; the line has the room that is needed. The checkpoints before are as they were.
        """
        host = {name: {key: np.asarray(leaf) for key, leaf in named(tree).items()} for name, tree in trees.items()}
        written = {name: {"sha256": arrays_digest(tree), "arrays": described(tree)} for name, tree in host.items()}
        content = {"format": FORMAT, "record": record, "trees": written}
        items: dict[str, Any] = {name: ocp.args.PyTreeSave(tree) for name, tree in host.items()}
        items["record"] = ocp.args.JsonSave({**content, "sha256": digest_of_record(content)})
        try:
            self._manager().save(step, args=ocp.args.Composite(**items))
        except Exception as error:
            # an array, its description and their folder, each in blocks of its own
            blocks = sum(-(-array.nbytes // _BLOCK) + 2 for tree in host.values() for array in tree.values())
            needed = blocks * _BLOCK
            self._discard_unfinished()  # it would keep the disk full
            full = disk_full(error, self.folder, needed, "the newest checkpoint is good")
            if full is None:
                raise
            raise full from error

    def load(self, like: Like, step: int | None = None) -> Saved:
        """Read a checkpoint: trees in the shapes of `like`, and the record.

        Args:
            like: of each tree wanted, a tree of arrays (or their shapes) with the structure, shapes and types to
                expect; or what gives them, called with the record.
            step: which checkpoint; by default the newest that is not damaged.

        Raises:
            InputError: there is no checkpoint, it is damaged (without a step: all are), or its arrays do not have the
                names and shapes of `like`.
        """
        steps = self.steps
        if not steps or (step is not None and step not in steps):
            raise InputError(f"{self.folder}: no checkpoint{'' if step is None else f' of step {step}'}; found {steps}")
        damage: dict[int, str] = {}
        for each in reversed(steps) if step is None else (step,):
            try:
                saved = self._read(each, like)
            except DamagedError as error:
                if not (self.folder / str(each)).is_dir():
                    return self.load(like, step)  # the run that writes has newer ones by now, and removed this
                damage[each] = str(error)
                continue
            self._tell(damage, each)
            return saved
        if step is not None:
            others = [other for other in steps if other != step]
            advice = f"found beside it: {others}" if others else "there is no other"
            raise InputError(f"{self.folder / str(step)}: damaged checkpoint ({damage[step]}); {advice}")
        if self.latest != steps[-1]:
            return self.load(like, step)  # the run that writes was removing what was read
        causes = "; ".join(f"{each}: {cause}" for each, cause in damage.items())
        raise InputError(f"{self.folder}: every checkpoint is damaged ({causes}); remove this folder to train anew")

    def record(self, step: int | None = None) -> dict[str, Any]:
        """The JSON record of a checkpoint, as `load`."""
        return self.load({}, step).record

    def restore(self, name: str, like: Any, step: int | None = None) -> Any:
        """One tree of a checkpoint, as `load`."""
        return self.load({name: like}, step).trees[name]

    def close(self) -> None:
        """Release the writer's threads."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _manager(self) -> ocp.CheckpointManager:
        """Orbax's writer; plain files, as the compressed ones of its databases could not be read with bounds."""
        if self._writer is None:
            options = ocp.CheckpointManagerOptions(
                max_to_keep=2, create=True, cleanup_tmp_directories=True, enable_async_checkpointing=False
            )
            handlers: dict[str, ocp.CheckpointHandler] = {
                name: ocp.PyTreeCheckpointHandler(use_ocdbt=False, use_compression=False) for name in TREES
            }
            handlers["record"] = ocp.JsonCheckpointHandler()
            self.folder.mkdir(parents=True, exist_ok=True)
            self._writer = ocp.CheckpointManager(self.folder, options=options, item_handlers=handlers)
        return self._writer

    def _read(self, step: int, like: Like) -> Saved:
        folder = self.folder / str(step)
        content = read_json(folder / "record" / "metadata", _RECORD_BYTES)
        if isinstance(content, dict) and "history" in content and "format" not in content:
            raise InputError(
                f"{folder}: a checkpoint of an older sbp_jax, whose files had no digests and are no longer read; "
                "train the run again, or use the commit that its config.json names"
            )
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise DamagedError("record/metadata is of a newer version, or damaged")
        if content.pop("sha256", None) != digest_of_record(content):
            raise DamagedError("record/metadata has changed since it was written")
        try:
            record, written = dict(content["record"]), {name: content["trees"][name] for name in TREES}
            saved = {name: dict(tree["arrays"]) for name, tree in written.items()}
        except (KeyError, TypeError, ValueError) as error:
            raise DamagedError("record/metadata lacks what a training writes") from error
        trees = {}
        for name, tree in (like(record) if callable(like) else like).items():
            # What was saved is compared before anything is read: a foreign checkpoint allocates nothing.
            wanted = {key: (np.dtype(leaf.dtype), tuple(np.shape(leaf))) for key, leaf in named(tree).items()}
            for key in sorted(set(wanted) | set(saved[name])):
                here = [wanted[key][0].name, list(wanted[key][1])] if key in wanted else None
                if here != saved[name].get(key):
                    where, there = f"{folder}: {name} {key}", saved[name].get(key)
                    raise InputError(f"{where}: the configuration expects {here}, saved is {there}")
            arrays = read_arrays(folder / name, wanted)
            if arrays_digest(arrays) != written[name].get("sha256"):
                raise DamagedError(f"{name}: an array has changed since it was written")
            leaves = [jnp.array(arrays[key]) for key in wanted]  # copies: a step may be given them to overwrite
            trees[name] = jax.tree.unflatten(jax.tree.structure(tree), leaves)
        return Saved(step, trees, record)

    def _tell(self, damage: dict[int, str], used: int) -> None:
        """Report damaged checkpoints that were passed over; a writer puts them aside, to write them anew."""
        for step, cause in damage.items():
            folder, aside = self.folder / str(step), self.folder / f"damaged-{step}"
            kept = ""
            if not self.read_only:
                shutil.rmtree(aside, ignore_errors=True)
                os.replace(folder, aside)
                self.close()  # Orbax lists the folder once
                kept = f"; kept as {aside.name}"
            _log.warning("%s: damaged checkpoint (%s), the one of step %d is used%s", folder, cause, used, kept)

    def _discard_unfinished(self) -> None:
        with suppress(Exception):
            self.close()
        for unfinished in self.folder.glob("*.orbax-checkpoint-tmp*"):
            shutil.rmtree(unfinished, ignore_errors=True)


def digest_of_record(content: dict[str, Any]) -> str:
    """SHA-256 of what a checkpoint's JSON file says beside it, in hexadecimal digits."""
    return json_digest(content)
