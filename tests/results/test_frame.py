"""Records as a data frame."""

from pathlib import Path

import pytest

import mdreid_bench
from mdreid_bench.errors import DataError
from mdreid_bench.evaluation.cells import CellScorer
from protocols.suites import suite
from tests.evaluation.stored import store


def test_every_record_is_a_row_with_its_numbers(tmp_path: Path) -> None:
    stored = store(tmp_path)
    scorer = CellScorer(stored.facts, stored.scope)
    records = [scorer(stored.table, protocol) for protocol in suite("paper-mismatched")]
    frame = mdreid_bench.read_records(tmp_path)
    assert len(frame) == len(records) == 4
    for record in records:
        row = frame.loc[str(stored.scope.record_path(record.protocol))]
        assert (row["protocol"], row["method"]) == (record.protocol, record.method)
        assert row["metrics.mAP"] == record.metrics.mAP
        assert row["chance.rank1"] == record.chance.rank1


def test_a_folder_without_records_gives_no_rows(tmp_path: Path) -> None:
    assert len(mdreid_bench.read_records(tmp_path)) == 0


def test_a_record_that_was_changed_is_named(tmp_path: Path) -> None:
    stored = store(tmp_path)
    record = CellScorer(stored.facts, stored.scope)(stored.table, suite("paper-matched")[0])
    path = stored.scope.record_path(record.protocol)
    path.write_text(path.read_text(encoding="utf-8").replace("0.", "0.1", 1), encoding="utf-8")
    with pytest.raises(DataError, match=str(path)):
        mdreid_bench.read_records(tmp_path)
