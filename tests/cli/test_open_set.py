"""``score --open-set`` on stored embeddings, and what ``report`` makes of it."""

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest

from mdreid_bench.results.store import Store, load_record
from protocols.modality import Modality
from protocols.open_set import open_set
from tests.cli.running import report_texts
from tests.evaluation.stored import Stored, store

SCORE = ("score", "--run", "msvr310-mdreid-tiny-s0", "--protocol", "R-to-NT", "--protocol", "RNT-to-RNT")


@pytest.fixture
def stored(tmp_path: Path) -> Stored:
    return store(tmp_path / "results")


def test_it_is_added_to_the_record_which_otherwise_stays(stored: Stored) -> None:
    path = stored.scope.record_path("R-to-NT")
    assert stored.call(*SCORE).returncode == 0
    plain = load_record(path)
    assert plain.open_set is None
    done = stored.call(*SCORE, "--open-set")
    assert (done.returncode, "0 reused, 2 done" in done.stderr) == (0, True), done.stderr
    record = load_record(path)
    assert record.model_copy(update={"open_set": None}) == plain
    items, found = stored.items, record.open_set
    assert found is not None
    expected = open_set(
        stored.matrices[Modality.R][items.query],
        stored.matrices[Modality.parse("NT")][items.gallery],
        items.labels.take(items.query),
        items.labels.take(items.gallery),
        stored.table.exclusion,
    )
    np.testing.assert_array_equal(found.mean, expected.dir.mean(axis=0))
    np.testing.assert_array_equal(found.spread, expected.dir.std(axis=0, ddof=1))
    assert found.mated == (expected.mated.min(), expected.mated.max())
    again = stored.call(*SCORE, "--open-set")
    assert "2 reused, 0 done" in again.stderr
    assert again.stdout == done.stdout


def test_report_and_json_show_it(stored: Stored, tmp_path: Path) -> None:
    told = stored.call(*SCORE, "--open-set", "--json")
    rows = {(row["protocol"], row["metric"]): row for row in json.loads(told.stdout)["measured"]}
    record = load_record(stored.scope.record_path("R-to-NT"))
    assert record.open_set is not None
    row = rows["R-to-NT", "DIR10@FAR0.1"]
    assert (row["value"], row["spread"]) == (
        pytest.approx(100 * record.open_set.at("mean", 10, 0.1)),
        pytest.approx(100 * record.open_set.at("spread", 10, 0.1)),
    )
    missed = rows["R-to-NT", "FNIR20@FPIR0.1"]
    assert missed["value"] == pytest.approx(100 * (1 - record.open_set.at("mean", 20, 0.1)))
    texts = report_texts(stored.call, "open-set", tmp_path / "out")
    assert "dir-at-rank-1-against-far-r-to-nt-msvr310-synthetic.svg" in texts
    assert any(name.startswith("open-set") and name.endswith(".tex") for name in texts)
    assert "fewer than one false alarm" in texts["report.md"]
    assert "DIR at rank 1 against FAR, R-to-NT" in texts["report.html"]
    tidy = list(csv.DictReader(io.StringIO(texts["results.csv"])))
    assert {"DIR1@FAR0.01", "FNIR20@FPIR0.01", "mAP"} <= {line["metric"] for line in tidy}


def test_a_constant_scorer_finds_nobody(stored: Stored) -> None:
    stored.changed(np.ones_like)
    assert stored.call(*SCORE, "--open-set").returncode == 0
    found = load_record(stored.scope.record_path("R-to-NT")).open_set
    assert found is not None
    assert not np.array(found.mean)[:, :-1].any()


@pytest.mark.parametrize("option", [("--rerank", "3,1,0.3"), ("--corrupt", "fog-3")])
def test_what_it_does_not_go_with_is_refused(stored: Stored, option: tuple[str, str]) -> None:
    done = stored.call(*SCORE, "--open-set", *option)
    assert (done.returncode, done.stderr.count("--open-set is measured by the scores themselves")) == (2, 1)


def test_data_without_probes_are_refused_in_one_sentence(tmp_path: Path) -> None:
    stored = store(tmp_path / "results")
    for matrix in stored.matrices.values():
        matrix[:] = 1
    table = stored.table
    table.items.labels.identity[:] = 0
    stored.folder.write_items(table)
    done = stored.call(*SCORE, "--open-set")
    assert done.returncode == 3
    assert "has no open set in" in " ".join(done.stderr.split())
    assert "needs two identities" in " ".join(done.stderr.split())


def test_report_says_how_to_get_it(stored: Stored) -> None:
    assert stored.call(*SCORE).returncode == 0
    done = stored.call("report", "--suite", "open-set")
    assert done.returncode == 3
    assert "'mdreid-bench score --run RUN --open-set'" in " ".join(done.stderr.split())
    assert Store(stored.scope.path.parents[2]).paths()
