from collections.abc import Iterator
from typing import Any

import pytest

from mdreid_bench.config.schema import RunConfig
from mdreid_bench.data.index import DatasetIndex
from mdreid_bench.data.opening import open_dataset
from mdreid_bench.progress import Silent
from tests.data.trees import plant
from tests.reliability.machine import Machine, measured
from tests.support import small_config


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


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> DatasetIndex:
    root = tmp_path_factory.mktemp("planted")
    plant(root, "msvr310")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MDREID_CACHE", str(root / "cache"))
        return open_dataset("msvr310", root, Silent())


@pytest.fixture
def config() -> RunConfig:
    changes = {
        "trunk": {"layers": 1},
        "batch": {"size": 4, "instances": 2},
        "schedule": {"epochs": 2},
        "evaluation": {"batch_size": 5},
    }
    return small_config("single-classifier", changes)
