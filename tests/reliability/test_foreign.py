"""Files that belong to something else are refused by everything that reads them."""

from pathlib import Path

import pytest

from tests.reliability.foreign import BYTE, REFUSED, Kind, sweep, world

NAMES = (
    "record",
    "per-query values",
    "table of embeddings",
    "matrix of embeddings",
    "part of embeddings",
    "facts of a run",
    "configuration of a run",
    "costs of a run",
    "trained weights",
    "state of a training",
    "search index: vectors",
    "search index: items",
)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("results")


@pytest.fixture(scope="module")
def kinds(root: Path) -> dict[str, Kind]:
    found = world(root)
    assert tuple(found) == NAMES
    return found


@pytest.mark.parametrize("name", NAMES)
def test_no_reader_takes_a_file_of_something_else(root: Path, kinds: dict[str, Kind], name: str) -> None:
    counts = sweep(root, kinds[name], 2)
    kind = kinds[name]
    assert sum(counts.values()) == (len(kind.others) + 2) * len(kind.readers)
    assert sum(n for (_, outcome), n in counts.items() if outcome == REFUSED) >= len(kind.others) * len(kind.readers)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_no_reader_takes_a_changed_byte_for_the_content(root: Path, kinds: dict[str, Kind], name: str) -> None:
    counts = sweep(root, kinds[name], 150)
    assert counts[BYTE, REFUSED] > 100
