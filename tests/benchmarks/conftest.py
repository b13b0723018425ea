"""What the benchmarks tell as they go, and note about the machine besides what pytest-benchmark notes by itself."""

import os
from collections.abc import Generator
from importlib.metadata import version
from typing import Any

import pytest

from tests.benchmarks.measuring import FULL, PEER, REQUIRED
from tests.benchmarks.report import spelt, verdict

LIBRARIES = ("numpy", "torch", "open_clip_torch")
LOAD_BEFORE = list(os.getloadavg())
"""How busy others kept the machine."""


@pytest.hookimpl(optionalhook=True)
def pytest_benchmark_update_machine_info(config: pytest.Config, machine_info: dict[str, Any]) -> None:
    """Add cores, memory, how busy the machine was, versions, and whether the sizes are the full ones."""
    machine_info["cores"] = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    machine_info["memory"] = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    machine_info["load"] = LOAD_BEFORE
    machine_info["versions"] = {name: version(name) for name in LIBRARIES}
    machine_info["full"] = FULL


@pytest.hookimpl(tryfirst=True)
def pytest_report_teststatus(report: pytest.TestReport) -> tuple[str, str, str] | None:
    """Print no dots: a benchmark has lines of its own."""
    return (report.outcome if report.when == "call" else "", "", "") if report.passed else None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Say which benchmark begins."""
    number, count = item.session.items.index(item) + 1, len(item.session.items)
    _say(item, f"[{number}/{count}] {spelt(item.name)} ...")
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Say what a benchmark found, each figure that has a limit with its verdict, and how long it took."""
    report = yield
    if report.when == "call" or not report.passed:
        found = getattr(item, "funcargs", {}).get("benchmark")
        told = {} if found is None else found.extra_info
        for entry in told.get(REQUIRED, []):
            measured, required, word = verdict(entry)
            _say(item, f"    {word}: {measured}, {required}: {entry['what']}")
        if missing := told.get(PEER, {}).get("missing"):
            _say(item, f"    no peer: {missing}")
        _say(item, f"    {report.outcome} in {call.duration:.0f} s")
    return report


def _say(item: pytest.Item, line: str) -> None:
    item.config.get_terminal_writer().line(line)
    item.config.get_terminal_writer().flush()
