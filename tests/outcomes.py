"""A pytest plugin that appends every outcome to a file of JSON lines, so that an interrupted run keeps them."""

import json
import os
from pathlib import Path
from typing import Any

_on_worker = False


def pytest_configure(config: Any) -> None:
    """Leave the writing to the process that collects the workers' reports."""
    global _on_worker
    _on_worker = hasattr(config, "workerinput")


def pytest_runtest_logreport(report: Any) -> None:
    """Write a test's outcome, and those of setup and teardown unless they succeed."""
    if report.when == "call" or report.outcome != "passed":
        outcome = "error" if report.failed and report.when != "call" else report.outcome
        _write(report.nodeid, outcome, report)


def pytest_collectreport(report: Any) -> None:
    """Write a file that could not be collected."""
    if report.failed:
        _write(report.nodeid, "error", report)


def _write(name: str, outcome: str, report: Any) -> None:
    if _on_worker:
        return
    line = {"test": name, "outcome": outcome, "reason": _reason(report) if outcome in ("failed", "error") else ""}
    with Path(os.environ["SBP_TEST_REPORTS"]).open("a") as file:
        file.write(json.dumps(line) + "\n")


def _reason(report: Any) -> str:
    """The first line of the error of a failed report."""
    lines = [line[1:].strip() for line in str(report.longrepr).splitlines() if line.startswith("E ")]
    errors = [line for line in lines if "Error" in line.split(":")[0]]
    return (errors or lines or [""])[0][:300]
