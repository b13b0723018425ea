"""What the benchmarks note about the machine besides what pytest-benchmark notes by itself."""

import os
from importlib.metadata import version
from typing import Any

import pytest

from tests.benchmarks.measuring import FULL

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
