"""Checkpoints of arrays by name, with a JSON record beside them, written by Orbax."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp

from sbp_jax.errors import InputError

# Orbax and its storage layer tell every save at INFO and WARNING; a failed one raises.
logging.getLogger("absl").setLevel(logging.ERROR)


# What a checkpoint holds: the training's state, the best parameters so far, the network's statistics.
TREES = ("state", "best", "constants")


def named(tree: Any) -> dict[str, Any]:
    """The tree's leaves by their path: {"params.tcn.blocks.0.first.kernel": array, ...}."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {jax.tree_util.keystr(path, simple=True, separator="."): leaf for path, leaf in leaves}


class Checkpoints:
    """The checkpoints of one run, numbered by step; the newest two are kept.

    A save is complete or absent: a run killed while saving goes on from the one before.

    Args:
        folder: where they live; made when missing unless `read_only`.
    """

    def __init__(self, folder: str | Path, read_only: bool = False):
        self.folder = Path(folder).absolute()
        options = ocp.CheckpointManagerOptions(
            max_to_keep=None if read_only else 2,
            create=not read_only,
            cleanup_tmp_directories=not read_only,
            enable_async_checkpointing=False,
            read_only=read_only,
        )
        handlers: dict[str, ocp.CheckpointHandler] = {name: ocp.StandardCheckpointHandler() for name in TREES}
        handlers["record"] = ocp.JsonCheckpointHandler()
        self._manager = ocp.CheckpointManager(self.folder, options=options, item_handlers=handlers)

    @property
    def steps(self) -> list[int]:
        """The steps of all checkpoints, in order."""
        return sorted(self._manager.all_steps())

    @property
    def latest(self) -> int | None:
        """Step of the newest checkpoint."""
        return self._manager.latest_step()

    def save(self, step: int, trees: dict[str, Any], record: dict[str, Any]) -> None:
        """Write the trees of arrays, one for each name in `TREES`, and the JSON record as the checkpoint of `step`."""
        items: dict[str, Any] = {name: ocp.args.StandardSave(named(tree)) for name, tree in trees.items()}
        self._manager.save(step, args=ocp.args.Composite(**items, record=ocp.args.JsonSave(record)))

    def record(self, step: int | None = None) -> dict[str, Any]:
        """The JSON record of a checkpoint, the newest by default."""
        step = self._chosen(step)
        with self._damage(step):
            return self._manager.restore(step, args=ocp.args.Composite(record=ocp.args.JsonRestore()))["record"]

    def restore(self, name: str, like: Any, step: int | None = None) -> Any:
        """A saved tree in the shape of `like`.

        Args:
            name: one of `TREES`.
            like: tree of arrays (or their shapes) with the structure, shapes and dtypes to expect.
            step: which checkpoint; the newest by default.

        Raises:
            InputError: there is no checkpoint, or its arrays do not have the names and shapes of `like`.
        """
        step = self._chosen(step)
        device = jax.sharding.SingleDeviceSharding(jax.devices()[0])
        wanted = {
            key: jax.ShapeDtypeStruct(np.shape(leaf), leaf.dtype, sharding=device) for key, leaf in named(like).items()
        }
        # The saved shapes are compared before anything is read: a foreign checkpoint allocates nothing.
        with self._damage(step):
            metadata = self._manager.item_metadata(step)[name]
            saved = {key: (tuple(value.shape), np.dtype(value.dtype)) for key, value in metadata.tree.items()}
        for key in sorted(set(wanted) | set(saved)):
            here = (wanted[key].shape, np.dtype(wanted[key].dtype)) if key in wanted else None
            if here != saved.get(key):
                where = f"{self.folder / str(step)}: {name} {key}"
                raise InputError(f"{where}: the configuration expects {here}, saved is {saved.get(key)}")
        with self._damage(step):
            arguments = ocp.args.Composite(**{name: ocp.args.StandardRestore(wanted)})
            loaded = self._manager.restore(step, args=arguments)[name]
        # Through the host: an array bound to a device would make every compiled function compile again.
        return jax.tree.unflatten(
            jax.tree.structure(like), [jnp.asarray(np.asarray(loaded[key])) for key in named(like)]
        )

    def close(self) -> None:
        """Release the manager's threads."""
        self._manager.close()

    @contextmanager
    def _damage(self, step: int) -> Iterator[None]:
        """Whatever the storage raises on a damaged file, as one line that says what can be done."""
        try:
            yield
        except Exception as error:
            others = [other for other in self._manager.all_steps() if other != step]
            advice = f"remove it to use {max(others)}" if others else "there is no other"
            kind = type(error).__name__
            raise InputError(f"{self.folder / str(step)}: damaged checkpoint ({kind}); {advice}") from error

    def _chosen(self, step: int | None) -> int:
        found = self._manager.all_steps()
        if step is None and found:
            return max(found)
        if step is None or step not in found:
            raise InputError(f"{self.folder}: no checkpoint{'' if step is None else f' of step {step}'}; found {found}")
        return step
