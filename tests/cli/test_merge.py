"""``mdreid-bench merge``: joins folders, or says why not."""

from pathlib import Path

from mdreid_bench.results.store import Store
from tests.cli.running import environment, in_process
from tests.results.factory import make_record, metrics, query_values


def _write(root: Path, protocol: str, mean: float = 0.4) -> None:
    record = make_record(protocol=protocol, metrics=metrics(mean))
    Store(root).folder(record).scope(None).write(record, query_values())


def test_two_folders_become_one(tmp_path: Path) -> None:
    for name, protocol in (("a", "R-to-N"), ("b", "N-to-R"), ("all", "R-to-N")):
        _write(tmp_path / name, protocol)
    folders = (str(tmp_path / "a"), str(tmp_path / "b"))
    done = in_process("merge", *folders, "--results", str(tmp_path / "all"), env=environment())
    assert done.returncode == 0
    assert done.stdout == f"{tmp_path / 'all' / 'runs'}\n"
    assert "1 records merged, 1 were there already." in done.stderr
    assert len(list(Store(tmp_path / "all").records())) == 2


def test_a_conflict_exits_with_3_and_copies_nothing(tmp_path: Path) -> None:
    _write(tmp_path / "a", "R-to-N")
    _write(tmp_path / "a", "N-to-R")
    _write(tmp_path / "b", "R-to-N", 0.41)
    done = in_process(
        "merge", str(tmp_path / "a"), str(tmp_path / "b"), "--results", str(tmp_path / "all"), env=environment()
    )
    assert done.returncode == 3
    assert done.stdout == ""
    assert "differ in metrics" in done.stderr
    assert not list((tmp_path / "all").rglob("*.json"))


def test_nothing_to_merge_is_a_mistake(tmp_path: Path) -> None:
    assert in_process("merge", env=environment()).returncode == 2
    done = in_process("merge", str(tmp_path), "--results", str(tmp_path / "all"), env=environment())
    assert done.returncode == 3
    assert "holds no results" in done.stderr
