#!/usr/bin/env python3
"""Print the packages of this project and their imports, and check them: python scripts/structure.py [--before REF].

Only the standard library is needed. The exit code is 1 if a rule is broken:

- no cycle among modules, and no import against the arrows, which are the table `ALLOWED`;
- sbp_jax never imports experiments, and sbp_jax.configs is imported by `CONFIGS_FOR` alone;
- fewer than `MAX_EXPERIMENTS_LINES` lines of Python in experiments/; 6,000 until the study of regression came;
- at most `MAX_DATA_LAYERS` layers in each subpackage of sbp_jax/data, and among the subpackages;
- no file under `MIN_LINES` lines, except for `__init__.py`, `__main__.py` and those of `SMALL`, which are one idea.

The rules cover imports that run when a module is imported. Those inside functions and under TYPE_CHECKING are listed
separately.
"""

import argparse
import ast
import io
import json
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
LIBRARY, STUDIES = "sbp_jax", "experiments"
MAX_EXPERIMENTS_LINES, MAX_DATA_LAYERS, MIN_LINES, MAX_LINES = 7100, 6, 60, 500

# the arrows: package or module of sbp_jax -> those that it may import; all may import `FOUNDATION`
FOUNDATION = {"errors", "atomic", "digests", "extensions", "sbp_jax"}
ALLOWED: dict[str, set[str]] = {
    "distributions": set(),
    "models": {"distributions"},
    "data": set(),
    "config": {"models", "data"},
    "configs": {"config", "models"},
    "training": {"distributions", "models", "data", "config"},
    "evaluation": {"distributions"},
    "scoring": {"distributions"},
    "numpyro": {"distributions"},
    "reporting": {"evaluation", "scoring"},
    "runs": {"training", "models", "distributions", "data", "config", "configs", "evaluation", "scoring", "reporting"},
    "live": {"runs", "training", "models", "distributions", "data", "config", "scoring", "reporting"},
    "service": {"live"},
    "estimator": {"runs", "training", "models", "distributions", "data", "config", "evaluation"},
    "nfl": {"runs", "data", "config", "configs", "scoring"},
    "cli": {"runs", "data", "config", "configs", "evaluation", "scoring", "reporting", "training", "live", "service"},
    "__main__": {"cli"},
}
# package -> packages of others that none of its modules imports, even inside a function
FORBIDDEN = {"reporting": {"jax", "flax"}, "data": {"jax", "flax", "optax"}}
# modules that may import the named configurations, in addition to those of experiments
CONFIGS_FOR = ("sbp_jax.cli.", "sbp_jax.nfl", "sbp_jax.runs.grid")

# files under `MIN_LINES` lines that are one idea of their own, by pattern
SMALL = {
    "configs/*": "one named configuration a file",
    "sbp_jax/cli/*": "one command a file, named as the command is",
    "sbp_jax/digests.py": "every digest scheme; names on disk depend on it",
    "sbp_jax/errors.py": "the one error that a user sees; everything imports it",
    "sbp_jax/extensions.py": "package.module:Name in a configuration",
    "sbp_jax/distributions/location.py": "base class of the location-scale families",
    "sbp_jax/models/config.py": "the network's configuration, which imports nothing that computes",
    "sbp_jax/data/*/config.py": "the package's configuration, which imports nothing that computes",
    "sbp_jax/estimator/parameters.py": "the estimators' base class, where scikit-learn is optional",
    "sbp_jax/data/batches/fields.py": "the one list of a batch's fields",
    "sbp_jax/data/batches/symmetry.py": "the reflection of plays",
    "sbp_jax/data/readers/screen.py": "the rules of a play and their counts",
    "sbp_jax/scoring/play.py": "the play score",
    "sbp_jax/training/early_stopping.py": "the one early-stopping rule",
    "sbp_jax/training/stop.py": "a request to stop; signals, training and studies import it",
    "sbp_jax/runs/gradients.py": "the gradient check of a run",
    "sbp_jax/runs/subset.py": "a data set's first games",
    "sbp_jax/reporting/style.py": "one look for all figures",
    "sbp_jax/service/metrics.py": "the service's counters; the one file that needs prometheus_client",
    "sbp_jax/service/settings.py": "the service's limits, which import no server",
}


@dataclass(frozen=True)
class Module:
    """A Python file.

    Attributes:
        name: dotted name.
        path: path relative to the root, with slashes.
        lines: number of lines of the file.
        now: dotted names of modules that it imports at import time.
        later: those that it imports inside functions or only for types.
    """

    name: str
    path: str
    lines: int
    now: frozenset[str]
    later: frozenset[str]

    @property
    def package(self) -> str:
        """The package or module of sbp_jax that it belongs to; for others, the top-level package."""
        return package_of(self.name)


def package_of(name: str) -> str:
    """Return the package or module of sbp_jax that a dotted name belongs to; for others, the top-level package."""
    first, _, rest = name.partition(".")
    return rest.split(".")[0] if first == LIBRARY and rest else first


def read_modules(root: Path) -> dict[str, Module]:
    """Read the modules of the library, of its named configurations and of the studies, by name."""
    files = {}
    for folder, name in ((LIBRARY, LIBRARY), ("configs", f"{LIBRARY}.configs"), (STUDIES, STUDIES)):
        for file in sorted((root / folder).rglob("*.py")):
            parts = file.relative_to(root / folder).with_suffix("").parts
            parts = parts[:-1] if parts[-1] == "__init__" else parts
            files[".".join([name, *parts])] = file
    modules = {}
    for name, file in files.items():
        text = file.read_text(encoding="utf-8")
        imports = list(_imports(ast.parse(text), name, file.name == "__init__.py"))
        now, later = (
            frozenset(_resolved(target, files) for target, is_later in imports if is_later is which) - {name}
            for which in (False, True)
        )
        path = file.relative_to(root).as_posix()
        modules[name] = Module(name, path, len(text.splitlines()), now, later - now)
    return modules


def _imports(tree: ast.AST, name: str, is_package: bool, later: bool = False) -> Iterator[tuple[str, bool]]:
    """Dotted names that a module imports, each with whether the import runs later than the module's own."""
    for node in ast.iter_child_nodes(tree):
        inside = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        typing = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        if isinstance(node, ast.Import):
            yield from ((alias.name, later) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = name.split(".") if is_package else name.split(".")[:-1]
                parents = parents[: len(parents) - node.level + 1]
                base = ".".join([*parents, base] if base else parents)
            yield from ((f"{base}.{alias.name}", later) for alias in node.names)
        yield from _imports(node, name, is_package, later or inside or typing)


def _resolved(target: str, files: Mapping[str, Path]) -> str:
    """The module that defines a name, if it belongs to this project; else the name."""
    known = target
    while known not in files and "." in known:
        known = known.rpartition(".")[0]
    return known if known in files else target


def cycle(graph: Mapping[str, set[str]]) -> list[str]:
    """Return the nodes of a cycle, with the first one repeated at the end; empty if there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return error.args[1][::-1]
    return []


def longest_chain(graph: Mapping[str, set[str]]) -> list[str]:
    """Return the longest chain of nodes in which each imports the next, in a graph without cycles."""
    chains: dict[str, list[str]] = {}
    for node in TopologicalSorter(graph).static_order():
        chains[node] = [node, *max((chains[each] for each in sorted(graph.get(node, ()))), key=len, default=[])]
    return max((chains[node] for node in sorted(chains)), key=len, default=[])


def graph_of(modules: Mapping[str, Module], prefix: str = "") -> dict[str, set[str]]:
    """Return the imports among the modules whose names begin with a prefix."""
    own = {name for name in modules if name.startswith(prefix)}
    return {name: set(modules[name].now & own) for name in own}


def data_layers(modules: Mapping[str, Module]) -> dict[str, list[str]]:
    """Return the longest chain in each subpackage of sbp_jax/data, among the subpackages, and of all modules."""
    prefix = f"{LIBRARY}.data."
    graph = graph_of(modules, prefix)

    def part(name: str) -> str:
        first, _, rest = name.removeprefix(prefix).partition(".")
        return f"{first}/" if rest or any(each.startswith(f"{name}.") for each in graph) else first

    parts: dict[str, set[str]] = {}
    for name, imports in graph.items():
        parts.setdefault(part(name), set()).update({part(each) for each in imports} - {part(name)})
    if nodes := cycle(parts):
        raise ValueError(f"{LIBRARY}/data: a cycle of subpackages: {' -> '.join(nodes)}")
    chains = {
        each.rstrip("/"): longest_chain(graph_of(modules, f"{prefix}{each.rstrip('/')}."))
        for each in sorted(parts)
        if each.endswith("/")
    }
    subpackages = {each: {other for other in _reached(parts, each) if other.endswith("/")} for each in parts}
    among = longest_chain({each: own for each, own in subpackages.items() if each.endswith("/")})
    return chains | {"among subpackages": among, "all modules": longest_chain(graph)}


def _reached(graph: Mapping[str, set[str]], start: str) -> set[str]:
    """Nodes that can be reached from a node, without that node."""
    reached: set[str] = set()
    waiting = list(graph[start])
    while waiting:
        node = waiting.pop()
        if node not in reached:
            reached.add(node)
            waiting += graph[node]
    return reached


def broken(modules: Mapping[str, Module]) -> list[str]:
    """Return one line per broken rule."""
    lines = []
    if nodes := cycle(graph_of(modules)):
        return [f"a cycle of imports: {' -> '.join(nodes)}"]
    for module in modules.values():
        lines += _against_the_arrows(module)
        if is_small(module) and reason_of(module) is None:
            lines.append(f"{module.path}: {module.lines} lines; merge it, or give it a reason in SMALL")
    total = sum(module.lines for module in modules.values() if module.package == STUDIES)
    if total >= MAX_EXPERIMENTS_LINES:
        lines.append(f"{STUDIES}/: {total:,} lines, expected less than {MAX_EXPERIMENTS_LINES:,}")
    try:
        chains = data_layers(modules)
    except ValueError as error:
        return [*lines, str(error)]
    for part, chain in chains.items():
        if part != "all modules" and len(chain) > MAX_DATA_LAYERS:
            lines.append(f"{LIBRARY}/data, {part}: {len(chain)} layers: {' -> '.join(chain)}")
    return lines


def is_small(module: Module) -> bool:
    """Return whether a file has fewer than `MIN_LINES` lines; `__init__.py` and `__main__.py` do not count."""
    return module.lines < MIN_LINES and not module.path.endswith(("__init__.py", "__main__.py"))


def reason_of(module: Module) -> str | None:
    """Return the reason for a small file; None without one."""
    return next((reason for pattern, reason in SMALL.items() if fnmatchcase(module.path, pattern)), None)


def _against_the_arrows(module: Module) -> list[str]:
    lines = []
    for target in sorted(module.now | module.later):
        own, other = module.package, package_of(target)
        if other in FORBIDDEN.get(own, ()) and not target.startswith(LIBRARY):
            lines.append(f"{module.path}: imports {target}, which {own} does without")
        if not target.startswith((LIBRARY, STUDIES)):
            continue
        in_studies = own == STUDIES
        if other == STUDIES and not in_studies:
            lines.append(f"{module.path}: imports {target}; nothing in {LIBRARY} imports {STUDIES}")
        elif other == "configs" != own and not in_studies and not module.name.startswith(CONFIGS_FOR):
            lines.append(f"{module.path}: imports {target}; only {', '.join(CONFIGS_FOR)} and {STUDIES} do")
        elif target in module.now and not in_studies and own not in (other, LIBRARY) and other not in FOUNDATION:
            if own not in ALLOWED:
                lines.append(f"{module.path}: {own} has no line in ALLOWED")
            elif other not in ALLOWED[own]:
                lines.append(f"{module.path}: imports {target}; {own} may not import {other}")
    return lines


def sizes(modules: Mapping[str, Module]) -> dict[str, dict[str, Any]]:
    """Return files, lines, and packages imported at import time and later, by package."""
    table: dict[str, dict[str, Any]] = {}
    for module in modules.values():
        name = module.package if module.path.count("/") > 1 or not module.path.startswith(LIBRARY) else LIBRARY
        row = table.setdefault(name, {"files": 0, "lines": 0, "now": set(), "later": set()})
        row["files"] += 1
        row["lines"] += module.lines
        for when in ("now", "later"):
            names = {package_of(each) for each in getattr(module, when) if each.startswith((LIBRARY, STUDIES))}
            row[when] |= names - {name}
    for row in table.values():
        row["now"], row["later"] = sorted(row["now"]), sorted(row["later"] - row["now"])
    return dict(sorted(table.items()))


def modules_at(ref: str) -> dict[str, Module]:
    """Read the modules of a git revision."""
    command = ["git", "-C", str(ROOT), "archive", ref]
    archive = subprocess.run(command, capture_output=True, check=True).stdout
    with tempfile.TemporaryDirectory() as folder, tarfile.open(fileobj=io.BytesIO(archive)) as files:
        files.extractall(folder, filter="data")
        return read_modules(Path(folder))


def report(modules: Mapping[str, Module], before: Mapping[str, Module] | None) -> str:
    """Return the text to print, without the broken rules."""
    lines, old = [], {} if before is None else sizes(before)
    table = sizes(modules)
    empty: dict[str, Any] = {"files": 0, "lines": 0, "now": [], "later": []}
    for name in sorted({*table, *old}):
        row = table.get(name, empty)
        counts = f"{row['files']:4} files {row['lines']:7,} lines"
        if before is not None:
            was = old.get(name, empty)
            counts = f"{was['files']:4} -> {row['files']:3} files {was['lines']:7,} -> {row['lines']:6,} lines"
        later = f"; later: {', '.join(row['later'])}" if row["later"] else ""
        lines.append(f"{name:<14}{counts}   {', '.join(row['now'])}{later}")
    for title, state in (("now", modules), *((("before", before),) if before is not None else ())):
        each = list(state.values())
        lines.append(f"{title}: {len(each)} files, {sum(module.lines for module in each):,} lines")
    lines.append("")
    try:
        for part, chain in data_layers(modules).items():
            lines.append(f"{LIBRARY}/data, {part}: {len(chain)} layers: {' -> '.join(chain)}")
    except ValueError as error:
        lines.append(str(error))
    lines.append("")
    files = sorted(modules.values(), key=lambda module: module.path)
    lines += [f"over {MAX_LINES} lines: {each.path} ({each.lines})" for each in files if each.lines > MAX_LINES]
    lines += [
        f"under {MIN_LINES} lines: {each.path} ({each.lines}): {reason_of(each) or 'no reason in SMALL'}"
        for each in files
        if is_small(each)
    ]
    return "\n".join(lines)


def main(words: list[str] | None = None) -> int:
    """Print and check the structure; return 1 if a rule is broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--before", metavar="REF", help="print files and lines of this git revision next to the current ones"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--root", type=Path, default=ROOT, help="folder of the project (default: this one)")
    options = parser.parse_args(words)
    modules = read_modules(options.root)
    before = None if options.before is None else modules_at(options.before)
    rules = broken(modules)
    if options.json:
        tables = {"now": sizes(modules)} | ({} if before is None else {"before": sizes(before)})
        print(json.dumps(tables | {"broken": rules}, indent=1))
    else:
        print(report(modules, before))
        print("\n".join(f"BROKEN {rule}" for rule in rules) or "every rule holds")
    return 1 if rules else 0


if __name__ == "__main__":
    sys.exit(main())
