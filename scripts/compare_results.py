#!/usr/bin/env python3
"""Compare two folders of results: scripts/compare_results.py BEFORE AFTER.

Every JSON and parquet file of either folder is compared with the file of that name in the other, value by value and
exactly. Fields that differ between runs are ignored: wall-clock times, dates, the machine, versions, commands and
commits. Each difference is printed on a line. The exit code is 1 if there is one, and 2 if a folder is missing.
"""

import argparse
import json
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl

# keys and columns to ignore, at any depth
IGNORED = {"command", "commit", "date", "machine", "minutes", "packages", "path", "python", "seconds", "version"}
SUFFIXES = (".json", ".parquet")


def compare(before: Path, after: Path) -> Iterator[str]:
    """Yield a line for each difference between the results of two folders."""
    names = {
        path.relative_to(folder)
        for folder in (before, after)
        for path in folder.rglob("*")
        if path.is_file() and path.suffix in SUFFIXES
    }
    for name in sorted(names):
        one, two = before / name, after / name
        missing = next((path for path in (one, two) if not path.is_file()), None)
        if missing is not None:
            yield f"{name}: not in {before if missing is one else after}"
            continue
        read = _json if name.suffix == ".json" else _parquet
        yield from (f"{name}: {line}" for line in _differences(read(one), read(two), ""))


def _json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def _parquet(path: Path) -> dict[str, Any]:
    table = pl.read_parquet(path)
    return {name: {"dtype": str(table[name].dtype), "values": table[name].to_list()} for name in table.columns}


def _differences(one: Any, two: Any, place: str) -> Iterator[str]:
    if isinstance(one, dict) and isinstance(two, dict):
        for key in dict.fromkeys([*one, *two]):
            if key in IGNORED or key.endswith(("_seconds", "_s", "_ms")):
                continue
            at = f"{place}.{key}" if place else key
            if key not in one or key not in two:
                yield f"{at}: {'new' if key in two else 'gone'}"
            else:
                yield from _differences(one[key], two[key], at)
    elif isinstance(one, list) and isinstance(two, list) and len(one) == len(two):
        for i, (a, b) in enumerate(zip(one, two, strict=True)):
            yield from _differences(a, b, f"{place}[{i}]")
    elif not _same(one, two):
        yield f"{place}: {_short(one)} -> {_short(two)}"


def _same(one: Any, two: Any) -> bool:
    if isinstance(one, float) and isinstance(two, float) and math.isnan(one) and math.isnan(two):
        return True
    return type(one) is type(two) and one == two


def _short(value: Any) -> str:
    if isinstance(value, list):
        return f"{len(value)} values"
    text = repr(value)
    return text if len(text) <= 120 else f"{text[:117]}..."


def main(words: list[str] | None = None) -> int:
    """Print the differences and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", type=Path, help="folder of results")
    parser.add_argument("after", type=Path, help="folder of the same results, regenerated")
    options = parser.parse_args(words)
    for folder in (options.before, options.after):
        if not folder.is_dir():
            print(f"error: {folder}: no such folder", file=sys.stderr)
            return 2
    lines = list(compare(options.before, options.after))
    print("\n".join(lines) if lines else "no difference")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
