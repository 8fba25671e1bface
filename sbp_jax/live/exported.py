"""Exported folders: what is in them, and a scorer from one, with jax and NumPy alone.

folder/
  manifest.json     format, versions, platforms, specification, size and SHA-256 of every other file, and its own
  weights.npz       parameters and statistics, by their paths in the network
  programs/         serialized StableHLO of `jax.export`, one file a function and number of rows
  sbp_live/         this code, and flatbuffers/ with its license, which `jax.export` reads the programs by
  play.onnx         where a converter was at hand: the program of a whole play with its weights
"""

import hashlib  # an exported folder holds this file: nothing of the rest of the library
import io
import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from sbp_jax.errors import InputError
from sbp_jax.live.scorer import LiveScorer

FORMAT = 2
READABLE = (1, FORMAT)
MANIFEST, WEIGHTS = "manifest.json", "weights.npz"
_MANIFEST_BYTES = 2**22
_PLATFORMS = {"cpu": "cpu", "gpu": "cuda", "cuda": "cuda"}  # JAX's names of backends -> of `jax.export`


def load(folder: str | Path, batch: int = 1) -> LiveScorer:
    """A scorer of an exported folder; what it says is what the run's own says.

    Every file is compared with the manifest before anything of it is used. Programs are computations on arrays: they
    can neither read files nor run other code.

    Args:
        folder: as `sbp export` wrote it.
        batch: plays side by side, one of those that it was exported for.

    Raises:
        InputError: no manifest, one of another format, a file that is missing or is not the one that was written,
            programs for another platform or of a JAX too far from this one, or another number of rows.
    """
    folder = Path(folder)
    manifest = read_manifest(folder)
    if batch not in manifest["batches"]:
        known = ", ".join(map(str, manifest["batches"]))
        raise InputError(f"{folder}: batch: exported for {known}, not {batch!r}")
    backend = jax.default_backend()
    if _PLATFORMS.get(backend) not in manifest["platforms"]:
        raise InputError(f"{folder}: exported for {', '.join(manifest['platforms'])}; JAX computes on {backend} here")
    content = {name: _checked(folder, name, said) for name, said in manifest["files"].items()}
    weights = _weights(content[WEIGHTS], folder / WEIGHTS, manifest["weights"])
    programs = {name: _program(data, folder / name) for name, data in content.items() if name.endswith(".bin")}

    def call(name: str, rows: int) -> Callable[..., Any]:
        return programs[f"programs/{name}_{rows}.bin"].call

    def start(rows: int) -> list[jax.Array]:
        frame = programs[f"programs/frame_{rows}.bin"]
        _, stream, *_ = jax.tree.unflatten(frame.in_tree, frame.in_avals)[0]
        return [jnp.zeros(each.shape, each.dtype) for each in stream]

    functions = {
        "start": start,
        "begin": lambda stream, rows: call("begin", len(rows))(weights, stream, rows),
        "frame": lambda stream, x, *rest: call("frame", len(x))(weights, stream, x, *rest),
        **{name: partial(call(name, 1), weights) for name in ("play", "cells", "score")},
    }
    spec = manifest["spec"]
    if manifest["format"] == 1:
        spec, functions["score"] = _first_format(spec, functions["score"])
    return LiveScorer(functions, spec, batch)


def _first_format(spec: Mapping[str, Any], score: Callable[..., Any]) -> tuple[dict[str, Any], Callable[..., Any]]:
    """The specification and the score of a folder of format 1, whose program takes whether the outcome is censored."""

    def call(raw: Any, y: Any, marks: Any, league: Any) -> Any:
        return score(raw, y, np.asarray(y >= marks[:, 1]) & bool(spec["censored"]), league)

    return {**spec, "integer": spec["whole"]}, call


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of an exported folder; InputError where there is none that this code reads."""
    path = folder / MANIFEST
    try:
        if path.stat().st_size > _MANIFEST_BYTES:
            raise InputError(f"{path}: larger than any manifest")
        manifest = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; expected a folder of sbp export") from None
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: cannot be read as a manifest ({error})") from error
    if not isinstance(manifest, dict) or manifest.get("format") not in READABLE:
        said = manifest.get("format") if isinstance(manifest, dict) else None
        known = " or ".join(map(str, READABLE))
        raise InputError(f"{path}: expected a manifest of format {known}, got {said!r}; export the run again")
    kinds = {"batches": list, "platforms": list, "files": dict, "weights": list, "spec": dict}
    for name, kind in kinds.items():
        if not isinstance(manifest.get(name), kind):
            raise InputError(f"{path}: {name}: expected a {kind.__name__}")
    if manifest.get("sha256") != digest_of(manifest):
        raise InputError(f"{path}: is not the manifest that was exported: its SHA-256 differs from what it says")
    if WEIGHTS not in manifest["files"]:
        raise InputError(f"{path}: files: expected {WEIGHTS} among them")
    return manifest


def digest_of(manifest: Mapping[str, Any]) -> str:
    """SHA-256 of all that a manifest says beside it."""
    rest = {name: value for name, value in manifest.items() if name != "sha256"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def _checked(folder: Path, name: str, said: Mapping[str, Any]) -> bytes:
    """The bytes of a file, which are those that the manifest speaks of."""
    path = folder / name
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise InputError(f"{folder / MANIFEST}: files: {name!r} is not inside the folder")
    try:
        # the size first: nothing larger than what was written is read
        if path.stat().st_size != said["bytes"]:
            raise InputError(f"{path}: {path.stat().st_size} bytes, the manifest has {said['bytes']}")
        data = path.read_bytes()
        if hashlib.sha256(data).hexdigest() != said["sha256"]:
            raise InputError(f"{path}: is not the file that was exported: its SHA-256 differs from the manifest's")
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}; the manifest has it") from error
    except (KeyError, TypeError) as error:
        raise InputError(f"{folder / MANIFEST}: files: {name}: expected bytes and sha256") from error
    return data


def _weights(data: bytes, path: Path, names: list[str]) -> list[jax.Array]:
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            return [jnp.asarray(arrays[name]) for name in names]
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{path}: cannot be read ({error})") from error


def _program(data: bytes, path: Path) -> Any:
    try:
        return jax.export.deserialize(bytearray(data))
    except ImportError as error:
        raise InputError(
            f"{path}: jax.export needs flatbuffers: put the exported folder on the path ({error})"
        ) from error
    except Exception as error:  # what it raises for other versions is not documented
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{path}: JAX {jax.__version__} cannot read it ({said}); export the run again") from error
