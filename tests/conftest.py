from pathlib import Path

import pytest

from mdreid_bench.config.schema import RunConfig
from mdreid_bench.data.index import DatasetIndex
from mdreid_bench.data.opening import open_dataset
from mdreid_bench.progress import Silent
from tests.data.trees import plant
from tests.support import small_config


@pytest.fixture(scope="session")
def planted(tmp_path_factory: pytest.TempPathFactory) -> DatasetIndex:
    """A small MSVR310 of plain coloured images: two training and two test identities."""
    root = tmp_path_factory.mktemp("planted")
    plant(root, "msvr310")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MDREID_CACHE", str(root / "cache"))
        return open_dataset("msvr310", root, Silent())


@pytest.fixture
def config() -> RunConfig:
    """A configuration that the planted data can fill, three epochs."""
    return small_config("mdreid", {"batch": {"size": 4, "instances": 2}, "schedule": {"epochs": 3}})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "results"
