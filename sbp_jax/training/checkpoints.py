"""Checkpoints of named arrays with a JSON record: Orbax writes them, `array_files` reads them."""

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

# Orbax and its storage layer log every save at INFO and WARNING; failures raise
logging.getLogger("absl").setLevel(logging.ERROR)
_log = logging.getLogger(__name__)

# contents of a checkpoint: training state, best parameters so far, network statistics
TREES = ("state", "best", "constants")
FORMAT = 2  # increment when the layout of the files changes
# types that JAX chooses by JAX_ENABLE_X64; an array of one is converted to the other
_PRECISIONS = ({"float32", "float64"}, {"int32", "int64"}, {"uint32", "uint64"})
_BLOCK = 4096  # block size of most file systems
_RECORD_BYTES = 16 * 2**20  # fits a history of about 50,000 epochs
Like = dict[str, Any] | Callable[[dict[str, Any]], dict[str, Any]]


def named(tree: Any) -> dict[str, Any]:
    """Return the leaves of a tree by path: {"params.tcn.blocks.0.first.kernel": array, ...}."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {jax.tree_util.keystr(path, simple=True, separator="."): leaf for path, leaf in leaves}


@dataclass(frozen=True)
class Saved:
    """A loaded checkpoint.

    Attributes:
        step: its number of steps.
        trees: the requested trees by name.
        record: the JSON record.
    """

    step: int
    trees: dict[str, Any]
    record: dict[str, Any]


class Checkpoints:
    """The checkpoints of one run, numbered by step; only the newest two remain.

    A save is complete or absent: a run killed while saving resumes from the previous checkpoint. Loading verifies the
    digests of what was written. If the newest checkpoint is damaged, the module's logger reports it, and the previous
    one is used; a writer renames the damaged one to `damaged-STEP`.

    Args:
        folder: folder of the checkpoints, created at the first save.
        read_only: write and rename nothing.
    """

    def __init__(self, folder: str | Path, read_only: bool = False):
        self.folder = Path(folder).absolute()
        self.read_only = read_only
        self._writer: ocp.CheckpointManager | None = None

    @property
    def steps(self) -> list[int]:
        """The steps of all checkpoints in increasing order."""
        if not self.folder.is_dir():
            return []
        names = [path.name for path in self.folder.iterdir() if path.is_dir()]
        return sorted(int(name) for name in names if name.isdecimal() and name == str(int(name)))

    @property
    def latest(self) -> int | None:
        """The step of the newest checkpoint; None without checkpoints."""
        return max(self.steps, default=None)

    def save(self, step: int, trees: dict[str, Any], record: dict[str, Any]) -> None:
        """Write the trees of arrays, one for each name in `TREES`, and the JSON record as the checkpoint of `step`.

        Raises:
            OSError: the disk is full; the message has the space needed. Earlier checkpoints are unchanged.
        """
        host = {name: {key: np.asarray(leaf) for key, leaf in named(tree).items()} for name, tree in trees.items()}
        descriptions = {name: {"sha256": arrays_digest(tree), "arrays": described(tree)} for name, tree in host.items()}
        content = {"format": FORMAT, "record": record, "trees": descriptions}
        items: dict[str, Any] = {name: ocp.args.PyTreeSave(tree) for name, tree in host.items()}
        items["record"] = ocp.args.JsonSave({**content, "sha256": digest_of_record(content)})
        try:
            self._manager().save(step, args=ocp.args.Composite(**items))
        except Exception as error:
            # each array, its description and their folder take separate blocks
            blocks = sum(-(-array.nbytes // _BLOCK) + 2 for tree in host.values() for array in tree.values())
            num_bytes = blocks * _BLOCK
            self._discard_unfinished()  # frees its space
            full = disk_full(error, self.folder, num_bytes, "the newest checkpoint is good")
            if full is None:
                raise
            raise full from error

    def load(self, like: Like, step: int | None = None) -> Saved:
        """Read a checkpoint: the trees in `like`, and the record.

        Args:
            like: for each requested tree, a tree of arrays (or their shapes) with the expected structure, shapes and
                types (64 bits are converted to 32, and 32 to 64); or a function that returns them, called with the
                record.
            step: step of the checkpoint; by default the newest undamaged one.

        Returns:
            The checkpoint with the requested trees.

        Raises:
            InputError: there is no checkpoint, it is damaged (without a step: all are), or its arrays do not have the
                names and shapes of `like`.
        """
        steps = self.steps
        if not steps or (step is not None and step not in steps):
            raise InputError(
                f"{self.folder}: no checkpoint{'' if step is None else f' of step {step}'}; available: {steps}"
            )
        damage: dict[int, str] = {}
        for each in reversed(steps) if step is None else (step,):
            try:
                checkpoint = self._read(each, like)
            except DamagedError as error:
                if not (self.folder / str(each)).is_dir():
                    return self.load(like, step)  # the writing run has removed this one, and has newer ones
                damage[each] = str(error)
                continue
            self._report(damage, each)
            return checkpoint
        if step is not None:
            others = [other for other in steps if other != step]
            advice = f"other checkpoints: {others}" if others else "there is no other"
            raise InputError(f"{self.folder / str(step)}: damaged checkpoint ({damage[step]}); {advice}")
        if self.latest != steps[-1]:
            return self.load(like, step)  # the writing run removed files during the read
        causes = "; ".join(f"{each}: {cause}" for each, cause in damage.items())
        raise InputError(f"{self.folder}: every checkpoint is damaged ({causes}); remove this folder to train again")

    def record(self, step: int | None = None) -> dict[str, Any]:
        """Return the JSON record of a checkpoint; see `load`."""
        return self.load({}, step).record

    def restore(self, name: str, like: Any, step: int | None = None) -> Any:
        """Return one tree of a checkpoint; see `load`."""
        return self.load({name: like}, step).trees[name]

    def close(self) -> None:
        """Release the writer's threads."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _manager(self) -> ocp.CheckpointManager:
        """Orbax's writer, set to plain files: its compressed databases could not be read with bounded memory."""
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
                f"{folder}: a checkpoint of an older sbp_jax, whose files have no digests and are no longer supported; "
                "train the run again, or use the commit named in its config.json"
            )
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise DamagedError("record/metadata is of a newer version, or damaged")
        if content.pop("sha256", None) != digest_of_record(content):
            raise DamagedError("record/metadata has changed since it was written")
        try:
            record, descriptions = dict(content["record"]), {name: content["trees"][name] for name in TREES}
            actual_arrays = {name: dict(tree["arrays"]) for name, tree in descriptions.items()}
        except (KeyError, TypeError, ValueError) as error:
            raise DamagedError("record/metadata has missing or invalid fields") from error
        trees = {}
        for name, tree in (like(record) if callable(like) else like).items():
            # compared before reading any array, so that a foreign checkpoint allocates nothing
            specs = {key: (np.dtype(leaf.dtype), tuple(np.shape(leaf))) for key, leaf in named(tree).items()}
            file_specs = dict(specs)
            for key in sorted(set(specs) | set(actual_arrays[name])):
                expected = [specs[key][0].name, list(specs[key][1])] if key in specs else None
                actual = actual_arrays[name].get(key)
                if expected and actual and expected[1] == actual[1] and {expected[0], actual[0]} in _PRECISIONS:
                    file_specs[key] = (np.dtype(actual[0]), specs[key][1])
                elif expected != actual:
                    where = f"{folder}: {name} {key}"
                    raise InputError(f"{where}: the configuration expects {expected}, the checkpoint has {actual}")
            arrays = read_arrays(folder / name, file_specs)
            if arrays_digest(arrays) != descriptions[name].get("sha256"):
                raise DamagedError(f"{name}: an array has changed since it was written")
            # copies: a step may donate them
            leaves = [jnp.array(arrays[key].astype(dtype, copy=False)) for key, (dtype, _) in specs.items()]
            trees[name] = jax.tree.unflatten(jax.tree.structure(tree), leaves)
        return Saved(step, trees, record)

    def _report(self, damage: dict[int, str], usable_step: int) -> None:
        """Report skipped damaged checkpoints; a writer renames them, so that it can save these steps again."""
        for step, cause in damage.items():
            folder, aside = self.folder / str(step), self.folder / f"damaged-{step}"
            note = ""
            if not self.read_only:
                shutil.rmtree(aside, ignore_errors=True)
                os.replace(folder, aside)
                self.close()  # Orbax lists the folder only once
                note = f"; renamed to {aside.name}"
            _log.warning("%s: damaged checkpoint (%s), using step %d instead%s", folder, cause, usable_step, note)

    def _discard_unfinished(self) -> None:
        with suppress(Exception):
            self.close()
        for unfinished in self.folder.glob("*.orbax-checkpoint-tmp*"):
            shutil.rmtree(unfinished, ignore_errors=True)


def digest_of_record(content: dict[str, Any]) -> str:
    """Return the SHA-256 of a checkpoint's JSON content without its own digest, in hexadecimal digits."""
    return json_digest(content)
