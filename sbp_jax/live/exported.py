"""Exported folders: their contents, and a scorer loaded from one, with jax and NumPy alone.

folder/
  manifest.json     format, versions, platforms, specification, size and SHA-256 of every other file, and its own digest
  weights.npz       parameters and statistics, by their paths in the network
  programs/         serialized StableHLO from `jax.export`, one file per function and number of rows
  sbp_live/         this code; next to it flatbuffers/ with its license, which `jax.export` needs to read the programs
  play.onnx         if a converter was available: the program of a complete play with its weights
"""

import hashlib  # exported folders contain a copy of this file: import nothing else from the library
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
_PLATFORMS = {"cpu": "cpu", "gpu": "cuda", "cuda": "cuda"}  # JAX's backend names -> those of `jax.export`


def load(folder: str | Path, batch: int = 1) -> LiveScorer:
    """Load a scorer from an exported folder; its results equal those of the run's own scorer.

    Every file is compared with the manifest before it is used. Programs are computations on arrays: they can neither
    read files nor run other code.

    Args:
        folder: folder written by `sbp export`.
        batch: number of plays scored in parallel, one of the exported batch sizes.

    Raises:
        InputError: missing manifest or unknown format, a file that is missing or was changed, programs for another
            platform or an incompatible JAX version, or a batch size that was not exported.
    """
    folder = Path(folder)
    manifest = read_manifest(folder)
    if batch not in manifest["batches"]:
        sizes = ", ".join(map(str, manifest["batches"]))
        raise InputError(f"{folder}: batch: exported for {sizes}, not {batch!r}")
    backend = jax.default_backend()
    if _PLATFORMS.get(backend) not in manifest["platforms"]:
        raise InputError(f"{folder}: exported for {', '.join(manifest['platforms'])}; JAX computes on {backend} here")
    content = {name: _checked(folder, name, record) for name, record in manifest["files"].items()}
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
    """Specification and score function of a format 1 folder, whose program also takes the censoring mask."""

    def call(raw: Any, y: Any, marks: Any, league: Any) -> Any:
        return score(raw, y, (y >= marks[:, 1]) & bool(spec["censored"]), league)

    return {**spec, "integer": spec["whole"]}, call


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest of an exported folder; InputError if it is missing or cannot be read."""
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
        form = manifest.get("format") if isinstance(manifest, dict) else None
        formats = " or ".join(map(str, READABLE))
        raise InputError(f"{path}: expected a manifest of format {formats}, got {form!r}; export the run again")
    kinds = {"batches": list, "platforms": list, "files": dict, "weights": list, "spec": dict}
    for name, kind in kinds.items():
        if not isinstance(manifest.get(name), kind):
            raise InputError(f"{path}: {name}: expected a {kind.__name__}")
    if manifest.get("sha256") != digest_of(manifest):
        raise InputError(f"{path}: is not the manifest that was exported: its SHA-256 differs from the recorded one")
    if WEIGHTS not in manifest["files"]:
        raise InputError(f"{path}: files: expected {WEIGHTS} among them")
    return manifest


def digest_of(manifest: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a manifest without its own digest."""
    rest = {name: value for name, value in manifest.items() if name != "sha256"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def _checked(folder: Path, name: str, record: Mapping[str, Any]) -> bytes:
    """The bytes of a file, checked against the manifest's record of it."""
    path = folder / name
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise InputError(f"{folder / MANIFEST}: files: {name!r} is not inside the folder")
    try:
        # the size first: never read a file larger than the one exported
        if path.stat().st_size != record["bytes"]:
            raise InputError(f"{path}: {path.stat().st_size} bytes, the manifest has {record['bytes']}")
        data = path.read_bytes()
        if hashlib.sha256(data).hexdigest() != record["sha256"]:
            raise InputError(f"{path}: is not the file that was exported: its SHA-256 differs from the manifest's")
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}; the manifest lists it") from error
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
    except Exception as error:  # its exceptions for other versions are not documented
        message = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{path}: JAX {jax.__version__} cannot read it ({message}); export the run again") from error
