"""Runs by what a user types."""

import shutil
from pathlib import Path

import pytest

from mdreid_bench.errors import DataError, UsageError
from mdreid_bench.results.finding import find_run, find_runs, find_scope
from mdreid_bench.results.store import Store
from protocols.names import UnknownNameError
from tests.results.factory import make_record

NAMES = (
    "msvr310-mdreid-tiny-s1-0123456789",
    "msvr310-mdreid-tiny-s2-01ffffffff",
    "rgbnt100-mdreid-tiny-s1-abcdefabcd",
)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    for name in NAMES:
        (tmp_path / "runs" / name / "full").mkdir(parents=True)
    (tmp_path / "runs" / ".leftover.tmp").mkdir()
    return Store(tmp_path)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (NAMES[0], 0),
        ("msvr310-mdreid-tiny-s2", 1),
        ("r", 2),
        ("012", 0),
        ("abcdefabcd", 2),
        ("abcdefabcd" + 54 * "9", 2),
        (f"some/where/{NAMES[1]}", 1),
        (f"some/where/{NAMES[1]}/", 1),
    ],
)
def test_one_run_by_name_key_or_path(store: Store, text: str, place: int) -> None:
    assert find_run(store, text).path == store.runs / NAMES[place]


def test_a_whole_name_wins_over_longer_ones(store: Store) -> None:
    (store.runs / f"{NAMES[0]}-x").mkdir()
    assert find_run(store, NAMES[0]).path.name == NAMES[0]


@pytest.mark.parametrize(("text", "place"), [("mdreid-tiny-s2", 1), ("100-mdreid", 2)])
def test_a_part_of_a_name_will_do_where_it_is_unique(store: Store, text: str, place: int) -> None:
    assert find_run(store, text).path == store.runs / NAMES[place]


def test_several_runs_are_listed(store: Store) -> None:
    assert [folder.path.name for folder in find_runs(store, "msvr310")] == list(NAMES[:2])
    with pytest.raises(UsageError, match=f"'01' may be {NAMES[0]}, {NAMES[1]}; give more"):
        find_run(store, "01")


@pytest.mark.parametrize("text", ["msvr301-mdreid-tiny-s1", "", ".", "abcdefabce"])
def test_an_unknown_run_is_an_error_with_the_nearest(store: Store, text: str) -> None:
    with pytest.raises(UnknownNameError, match="Unknown run"):
        find_run(store, text)


def test_an_empty_results_folder_says_so(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="holds no runs"):
        find_run(Store(tmp_path), "x")


def test_scopes_by_limit(store: Store) -> None:
    folder = find_run(store, "r")
    assert find_scope(folder, None).path.name == "full"
    with pytest.raises(DataError, match="not evaluated with --limit 5; there is: full"):
        find_scope(folder, 5)
    (folder.path / "full").rename(folder.path / "limit-9")
    assert find_scope(folder, None).path.name == "limit-9"
    (folder.path / "limit-5").mkdir()
    assert find_scope(folder, 5).path.name == "limit-5"
    with pytest.raises(UsageError, match=r"several limits \(limit-5, limit-9\)"):
        find_scope(folder, None)


def test_a_run_without_evaluations_is_an_error(store: Store) -> None:
    folder = find_run(store, "r")
    (folder.path / "full").rmdir()
    with pytest.raises(DataError, match="never evaluated"):
        find_scope(folder, None)


def test_links_out_of_the_results_folder_are_not_followed(tmp_path: Path) -> None:
    store, record = Store(tmp_path / "received"), make_record()
    outside = Store(tmp_path / "mine").folder(record)
    outside.scope(None).embeddings.mkdir(parents=True)
    own = store.folder(record)
    for link, target in (
        (own.path, outside.path),
        (own.scope(None).path, outside.scope(None).path),
        (own.scope(None).embeddings, outside.scope(None).embeddings),
    ):
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(target)
        with pytest.raises(DataError, match=r"is a link out of .*received; copy what it leads to"):
            find_scope(find_run(store, own.path.name), None)
        link.unlink()
    shutil.rmtree(own.path)
    elsewhere = own.path.with_name("elsewhere")
    (elsewhere / "full").mkdir(parents=True)
    own.path.symlink_to(elsewhere)
    assert find_scope(find_run(store, own.path.name), None).path == own.path / "full"
