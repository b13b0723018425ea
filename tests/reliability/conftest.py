from collections.abc import Iterator
from typing import Any

import pytest

from tests.reliability.machine import Machine, measured


@pytest.fixture(scope="session")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A process that forks small real runs."""
    started = Machine(tmp_path_factory.mktemp("machine"))
    yield started
    started.close()


@pytest.fixture(scope="session")
def undisturbed(machine: Machine) -> dict[str, Any]:
    """What the small run measures when nothing happens to it."""
    code, job = machine.run(machine.base / "undisturbed")
    assert code == 0, job.text
    return measured(job.results)
