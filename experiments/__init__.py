"""Studies, benchmarks and results. `python -m experiments.train` and similar names run commands of `sbp`."""

import sys
from importlib.abc import InspectLoader, MetaPathFinder
from importlib.machinery import ModuleSpec
from typing import Any

# former module of this package -> the command of `sbp` that it runs; the files have moved to `sbp_jax.cli`
_SAME = "compare crossfit demo export gradients prepare replay report score serve simulate thresholds train"
ALIASES = {"ablation": "sweep"} | {name: name for name in _SAME.split()}


class _Alias(InspectLoader):
    def get_source(self, fullname: str) -> str:
        command = ALIASES[fullname.removeprefix(f"{__name__}.")]
        return f"from sbp_jax.cli import main\nif __name__ == '__main__':\n    main({command!r})\n"


class _Aliases(MetaPathFinder):
    def find_spec(self, fullname: str, path: Any, target: Any = None) -> ModuleSpec | None:
        package, _, name = fullname.rpartition(".")
        known = package == __name__ and name in ALIASES
        return ModuleSpec(fullname, _Alias(), origin=__file__) if known else None


sys.meta_path.append(_Aliases())
