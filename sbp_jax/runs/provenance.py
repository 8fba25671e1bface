"""What a table of results was measured on: processor, system, versions, date."""

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


def describe() -> dict[str, Any]:
    """This machine: `date` (UTC), `processor`, `cores`, `memory_gib`, `system`, `python`, `device` and `packages`.

    `cores` are those that this process may use, `device` is where JAX computes, `packages` holds the versions of those
    of `PACKAGES` that are installed. What the system does not tell is None.
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
    """`describe()`, or what it returned earlier, as one line of text."""
    machine = describe() if machine is None else machine
    memory = "" if machine["memory_gib"] is None else f", {machine['memory_gib']} GiB memory"
    packages = ", ".join(f"{name} {number}" for name, number in machine["packages"].items())
    return (
        f"{machine['date']}; {machine['processor']}, {machine['cores']} cores{memory}; JAX on {machine['device']}; "
        f"{machine['system']}; Python {machine['python']}, {packages}."
    )


def command_line(program: str, words: Sequence[str]) -> str:
    """Return the call that a page of results names.

    Args:
        program: a command, such as "sbp sweep", or the module of a study, such as "experiments.parity".
        words: of the command line, after the program.
    """
    call = ["python", "-m", program] if program.startswith("experiments.") else program.split()
    return shlex.join([*call, *words])


def commit() -> str | None:
    """The commit of the checkout that this code is in, with `+` where files differ from it; None outside of one."""
    file = Path(__file__)

    def git(*words: str) -> str:
        command = ["git", "-C", str(file.parent), *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()

    try:
        git("ls-files", "--error-unmatch", file.name)  # an environment inside of another project's checkout is none
        return git("rev-parse", "HEAD") + ("+" if git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.SubprocessError):
        return None


def place() -> dict[str, Any]:
    """On what this process computes: `processor`, `cores`, `system`, `python` and `device`, as `describe()` says."""
    everything = describe()
    return {name: everything[name] for name in ("processor", "cores", "system", "python", "device")}


def heading(title: str, program: str, words: Sequence[str], machine: Mapping[str, Any] | None = None) -> str:
    """Return the beginning of a page of results: title, `command_line(program, words)`, and `sentence(machine)`."""
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
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            name, _, value = line.partition(":")
            if name.strip() in ("model name", "Hardware") and value.strip():
                return value.strip()
    except OSError:
        pass
    return platform.processor() or platform.machine() or "unknown processor"


def cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _memory_gib() -> int | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30)
    except (AttributeError, ValueError, OSError):
        return None


def device() -> str:
    """Where JAX computes: "cpu", or the number and kind of accelerators."""
    import jax

    devices = jax.devices()
    if devices[0].platform == "cpu":
        return "cpu"
    return f"{len(devices)} x {devices[0].device_kind}"


def _versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
