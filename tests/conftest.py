import gc
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from xdist.scheduler import LoadFileScheduling

if TYPE_CHECKING:
    from mdreid_bench.config.schema import RunConfig
    from mdreid_bench.data.index import DatasetIndex

TOGETHER = ("tests/processes/", "tests/reliability/")
"""Folders whose tests run in one worker, because they fork processes from one that imports everything once."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Keep not only the tests of a file in one worker, but those of some folders, too."""
    if config.option.dist != "loadfile":
        return None
    scheduling: Any = LoadFileScheduling(config, log)
    file_of = scheduling._split_scope
    scheduling._split_scope = lambda test: next((f for f in TOGETHER if test.startswith(f)), file_of(test))
    return scheduling


def pytest_collection_finish() -> None:
    """Spare the collector of garbage another look at all tests and libraries, which stay."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def _disk_is_not_waited_for() -> Iterator[None]:
    """Nothing here need survive a power cut; tests/reliability sees to that in processes of their own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield


@pytest.fixture(scope="session")
def planted(tmp_path_factory: pytest.TempPathFactory) -> "DatasetIndex":
    """A small MSVR310 of plain coloured images: two training and two test identities."""
    # Imported here, so that the process that hands out the tests need not wait for torch before the others start.
    from mdreid_bench.data.opening import open_dataset
    from mdreid_bench.progress import Silent
    from tests.data.trees import plant

    root = tmp_path_factory.mktemp("planted")
    plant(root, "msvr310")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MDREID_CACHE", str(root / "cache"))
        return open_dataset("msvr310", root, Silent())


@pytest.fixture
def config() -> "RunConfig":
    """A configuration that the planted data can fill, three epochs."""
    from tests.support import small_config

    return small_config("mdreid", {"batch": {"size": 4, "instances": 2}, "schedule": {"epochs": 3}})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "results"
