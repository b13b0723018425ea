"""Cells are written while the next are measured: nothing that was measured is lost, and nothing is told too early."""

import time
from pathlib import Path
from typing import Any

import pytest

from mdreid_bench.errors import DataError
from mdreid_bench.evaluation.cells import CellScorer
from mdreid_bench.progress import Silent
from mdreid_bench.results.form import PLAIN
from mdreid_bench.results.per_query import QueryValues
from mdreid_bench.results.run_log import RunLog
from mdreid_bench.results.schema import Record
from mdreid_bench.results.storage.lock import in_use
from mdreid_bench.results.store import Scope
from mdreid_bench.runs.scoring import measured
from protocols.modality import RNT
from protocols.protocol import Protocol, protocols_of
from tests.evaluation.stored import Stored, store

PROTOCOLS = protocols_of(RNT)[:4]


@pytest.fixture
def stored(tmp_path: Path) -> Stored:
    return store(tmp_path)


def begin(stored: Stored) -> Any:
    log = RunLog(stored.scope.path.parent / "run.log", Silent())
    cells = [(protocol, PLAIN) for protocol in PROTOCOLS]
    return measured(cells, CellScorer(stored.facts, stored.scope), stored.table, log)


def is_held(stored: Stored, protocol: Protocol) -> bool:
    return in_use(stored.scope.lock_path(str(protocol)))


def on_disk(stored: Stored) -> list[bool]:
    return [stored.scope.believed(str(protocol)) is not None for protocol in PROTOCOLS]


def slow_disk(monkeypatch: pytest.MonkeyPatch, refused: str = "") -> None:
    write = Scope.write

    def slowly(scope: Scope, record: Record, values: QueryValues) -> Record:
        time.sleep(0.1)
        if record.protocol == refused:
            raise DataError("the disk is full")
        return write(scope, record, values)

    monkeypatch.setattr(Scope, "write", slowly)


def test_each_outcome_comes_when_its_record_is_on_the_disk(stored: Stored, monkeypatch: pytest.MonkeyPatch) -> None:
    slow_disk(monkeypatch)
    for (protocol, _), is_new, record in begin(stored):
        assert is_new
        assert record == stored.scope.believed(str(protocol))
        assert not is_held(stored, protocol)
    assert all(on_disk(stored))


def test_whoever_stops_finds_on_the_disk_what_was_measured(stored: Stored, monkeypatch: pytest.MonkeyPatch) -> None:
    slow_disk(monkeypatch)
    begun, measure = [], CellScorer.measure

    def counted(scorer: CellScorer, table: Any, setting: Any) -> Any:
        begun.append(setting)
        return measure(scorer, table, setting)

    monkeypatch.setattr(CellScorer, "measure", counted)
    outcomes = begin(stored)
    next(outcomes)
    outcomes.close()
    assert on_disk(stored) == [protocol in begun for protocol in PROTOCOLS]
    assert not any(is_held(stored, protocol) for protocol in PROTOCOLS)


@pytest.mark.parametrize("command", [False, True])
def test_an_interruption_while_measuring_loses_no_earlier_cell(
    stored: Stored, monkeypatch: pytest.MonkeyPatch, command: bool
) -> None:
    slow_disk(monkeypatch)
    measure = CellScorer.measure

    def interrupted(scorer: CellScorer, table: Any, setting: Any) -> Any:
        if setting == PROTOCOLS[2]:
            raise KeyboardInterrupt
        return measure(scorer, table, setting)

    monkeypatch.setattr(CellScorer, "measure", interrupted)
    if command:
        asked = [part for protocol in PROTOCOLS for part in ("--protocol", str(protocol))]
        assert stored.call("score", "--run", "msvr310-mdreid", *asked).returncode == 130
    else:
        with pytest.raises(KeyboardInterrupt):
            list(begin(stored))
    assert on_disk(stored) == [True, True, False, False]
    assert not any(is_held(stored, protocol) for protocol in PROTOCOLS)


def test_a_record_that_cannot_be_written_fails_alone(stored: Stored, monkeypatch: pytest.MonkeyPatch) -> None:
    slow_disk(monkeypatch, refused=str(PROTOCOLS[1]))
    found = list(begin(stored))
    assert [is_new for _, is_new, _ in found] == [True, False, True, True]
    assert str(found[1][2]) == "the disk is full"
    assert on_disk(stored) == [True, False, True, True]
