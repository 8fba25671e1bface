"""Export a run to a folder that scores plays with jax and NumPy alone (`exported` describes its contents)."""

import importlib
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import jax.export
import jax.numpy as jnp
import numpy as np

import sbp_jax
from sbp_jax.atomic import building
from sbp_jax.digests import bytes_digest
from sbp_jax.errors import InputError
from sbp_jax.live.exported import FORMAT, MANIFEST, WEIGHTS, digest_of
from sbp_jax.live.programs import Programs, programs_of

if TYPE_CHECKING:
    from sbp_jax.runs.run import Run

PLATFORMS = ("cpu", "cuda")
PACKAGE = "sbp_live"
# modules that a scorer needs; the exported copy imports from its own folder
_MODULES = ("errors", "live.answers", "live.inputs", "live.scorer", "live.exported")
_INIT = '''"""Score plays frame by frame: `load(folder)`; exported by sbp_jax {version}."""

from sbp_live.exported import load
from sbp_live.scorer import LiveScorer

__all__ = ["LiveScorer", "load"]
'''


def export(
    run: "Run",
    folder: Path,
    batches: Sequence[int] = (1, 32),
    platforms: Sequence[str] = PLATFORMS,
    league: Path | None = None,
    onnx: bool = False,
    report: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Write the folder and return its manifest.

    Args:
        run: a run trained on plays with tracking.
        folder: a new folder, or a previous export, which is replaced.
        batches: batch sizes for which a scorer can be loaded.
        platforms: platforms of `jax.export`, such as "cpu" and "cuda".
        league: as in `programs_of`.
        onnx: also write the program of a complete play as ONNX; needs jax2onnx.
        report: called with the name of each program before it is compiled.

    Raises:
        InputError: as in `programs_of`; the folder is not an export; a batch is not an integer of at least 1; a
            platform is unknown; the ONNX converter is not installed.
    """
    if folder.exists() and not (folder / MANIFEST).is_file() and not _empty(folder):
        raise InputError(f"{folder}: exists and is not an exported folder; it is left unchanged")
    for batch in batches:
        if batch < 1:
            raise InputError(f"batches: expected integers of at least 1, got {batch}")
    for platform in platforms:
        if platform not in ("cpu", "cuda", "rocm", "tpu"):
            raise InputError(f"platforms: unknown {platform!r}; known: cpu, cuda, rocm, tpu")
    if not batches or not platforms:
        raise InputError("batches, platforms: expected at least one of each")
    # programs have 32-bit arguments, whatever JAX_ENABLE_X64 is here or where they are loaded
    with jax.enable_x64(False), building(folder, replace=True) as place:
        programs = programs_of(run, league)
        programs = replace(programs, weights=jax.tree.map(lambda leaf: jnp.asarray(np.asarray(leaf)), programs.weights))
        leaves, tree = jax.tree.flatten_with_path(programs.weights)
        names = [jax.tree_util.keystr(path, simple=True, separator="/") for path, _ in leaves]
        arrays: dict[str, Any] = {name: np.asarray(leaf) for name, (_, leaf) in zip(names, leaves, strict=True)}
        np.savez(place / WEIGHTS, **arrays)
        (place / "programs").mkdir()
        for name, rows, call, shapes in _programs(programs, run.model.head.num_outputs, tree, batches):
            report(f"{name}, {rows} rows")
            program = jax.export.export(jax.jit(call), platforms=list(platforms))(*shapes)
            (place / "programs" / f"{name}_{rows}.bin").write_bytes(program.serialize())
        if onnx:
            report("play, ONNX")
            _write_onnx(programs, _play_shapes(programs), place / "play.onnx")
        _write_code(place)
        paths = [path for path in sorted(place.rglob("*")) if path.is_file()]
        files = {str(path.relative_to(place)): _size_and_digest(path) for path in paths}
        manifest = {
            "format": FORMAT,
            "run": {"folder": run.path.name, "step": run.step, "data": run.fingerprint},
            "versions": {name: version(name) for name in ("jax", "jaxlib", "flax", "numpy")} | _own_version(),
            "platforms": list(platforms),
            "batches": sorted(set(batches)),
            "spec": programs.spec,
            "weights": names,
            "files": files,
        }
        manifest["sha256"] = digest_of(manifest)
        (place / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    return manifest


def _programs(
    programs: Programs, outputs: int, tree: Any, batches: Sequence[int]
) -> Iterator[tuple[str, int, Callable[..., Any], tuple[Any, ...]]]:
    """Name, rows, function over lists of arrays, and argument shapes of each program."""
    spec = programs.spec
    num_players, columns, statics = spec["players"], spec["players"] * len(spec["features"]), len(spec["static"])
    weights = [jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) for leaf in jax.tree.leaves(programs.weights)]

    def plain(name: str) -> Callable[..., Any]:
        return lambda weights, *rest: programs.functions[name](jax.tree.unflatten(tree, weights), *rest)

    def streaming(name: str, form: Any) -> Callable[..., Any]:
        """Take the stream as a list of arrays, since other code does not know our classes."""

        def call(weights: Any, stream: Any, *rest: Any) -> Any:
            result = plain(name)(weights, jax.tree.unflatten(form, stream), *rest)
            return jax.tree.leaves(result) if name == "begin" else (jax.tree.leaves(result[0]), *result[1:])

        return call

    for rows in sorted(set(batches)):
        leaves, form = jax.tree.flatten(programs.functions["start"](programs.weights, rows))
        past = [jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) for leaf in leaves]
        yield "begin", rows, streaming("begin", form), (weights, past, _boolean(rows))
        frame = (
            _number(rows, columns),
            _boolean(rows, num_players),
            _number(rows, statics),
            _number(rows, 2),
            _boolean(rows),
        )
        yield "frame", rows, streaming("frame", form), (weights, past, *frame)
    # one play at a time, for any number of rows
    yield "cells", 1, plain("cells"), (weights, _number(1, outputs), _number(1, 2))
    yield "score", 1, plain("score"), (weights, _number(1, outputs), _number(1), _number(1, 2), _number(2))
    yield "play", 1, plain("play"), (weights, *_play_shapes(programs))


def _play_shapes(programs: Programs) -> tuple[jax.ShapeDtypeStruct, ...]:
    spec = programs.spec
    window, num_players = spec["window"], spec["players"]
    return (
        _number(1, window, num_players * len(spec["features"])),
        _boolean(1, window),
        _boolean(1, window, num_players),
        _number(1, len(spec["static"])),
        _number(1, 2),
    )


def _number(*shape: int) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(shape, jnp.float32)


def _boolean(*shape: int) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(shape, jnp.bool_)


def _write_code(place: Path) -> None:
    """Write the scorer's code as a separate package, and flatbuffers, with which `jax.export` reads programs."""
    package = place / PACKAGE
    package.mkdir()
    root = Path(sbp_jax.__file__).parent
    for module in _MODULES:
        text = (root / f"{module.replace('.', '/')}.py").read_text(encoding="utf-8")
        text = text.replace("sbp_jax.live.", f"{PACKAGE}.").replace("sbp_jax.errors", f"{PACKAGE}.errors")
        (package / f"{module.split('.')[-1]}.py").write_text(text, encoding="utf-8")
    (package / "__init__.py").write_text(_INIT.format(version=sbp_jax.__version__), encoding="utf-8")
    flatbuffers = Path(importlib.import_module("flatbuffers").__file__ or "").parent
    shutil.copytree(flatbuffers, place / "flatbuffers", ignore=shutil.ignore_patterns("__pycache__"))
    (place / "flatbuffers" / "LICENSE").write_text(
        "FlatBuffers, copyright Google LLC, under the Apache License 2.0: https://www.apache.org/licenses/LICENSE-2.0\n",
        encoding="utf-8",
    )


def _write_onnx(programs: Programs, shapes: Sequence[jax.ShapeDtypeStruct], path: Path) -> None:
    """Write the program of a complete play with weights: x, mask, present, static, marks -> numbers, raw outputs."""
    try:
        onnx, jax2onnx = importlib.import_module("onnx"), importlib.import_module("jax2onnx")
    except ImportError as error:
        raise InputError(f"onnx: needs the packages onnx and jax2onnx ({error})") from error
    try:
        model = jax2onnx.to_onnx(
            partial(programs.functions["play"], programs.weights), inputs=shapes, model_name="play"
        )
    finally:
        jax.clear_caches()  # XLA cannot use traces made for the converter
    onnx.save(_numbers_for_where(onnx, model), path)


def _numbers_for_where(onnx: Any, model: Any) -> Any:
    """The model with boolean Where nodes on integers: ONNX Runtime has no Where for booleans."""
    graph, boolean = model.graph, onnx.TensorProto.BOOL
    kinds = {v.name: v.type.tensor_type.elem_type for v in (*graph.value_info, *graph.input, *graph.output)}
    kinds |= {each.name: each.data_type for each in graph.initializer}
    nodes = []
    for node in graph.node:
        if node.op_type != "Where" or boolean not in [kinds.get(name) for name in node.input[1:]]:
            nodes.append(node)
            continue
        numbers = [f"{node.output[0]}_{i}" for i in range(3)]
        for name, number in zip(node.input[1:], numbers, strict=False):
            nodes.append(onnx.helper.make_node("Cast", [name], [number], to=onnx.TensorProto.UINT8))
        nodes.append(onnx.helper.make_node("Where", [node.input[0], *numbers[:2]], numbers[2:]))
        nodes.append(onnx.helper.make_node("Cast", numbers[2:], [node.output[0]], to=boolean))
    del graph.node[:]
    graph.node.extend(nodes)
    return model


def _size_and_digest(path: Path) -> dict[str, Any]:
    data = path.read_bytes()
    return {"bytes": len(data), "sha256": bytes_digest(data)}


def _own_version() -> dict[str, str]:
    return {"sbp_jax": sbp_jax.__version__}


def _empty(folder: Path) -> bool:
    return folder.is_dir() and not any(folder.iterdir())
