"""Everything that may take longer than two seconds says how far it is; the console adds the time left."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mdreid_bench.cli.compare_command import comparisons, side_of
from mdreid_bench.cli.console import Console
from mdreid_bench.cli.report_command import ReportOptions, ReportSession
from mdreid_bench.data.items import Items
from mdreid_bench.evaluation.cells import CellScorer
from mdreid_bench.results.form import Form
from mdreid_bench.results.store import Store
from mdreid_bench.runs.merge import merge
from mdreid_bench.search.gallery import seen
from mdreid_bench.search.search_index import SearchIndex
from protocols.modality import Modality
from protocols.suites import resolve
from tests.data.trees import Recorder
from tests.evaluation.stored import store
from tests.report.fakes import put, study
from tests.results.factory import query_values

PROTOCOLS = ("R-to-N", "N-to-R", "RNT-to-RNT")


def _evaluated(results: Path) -> None:
    """Store two runs under some protocols."""
    for seed, method in enumerate(("mdreid", "editor"), start=1):
        changes: dict[str, Any] = {"method": method, "run_key": f"{seed:064x}", "config_key": f"{seed:064x}"}
        stored = store(results, seed, **changes)
        for setting in resolve(PROTOCOLS):
            CellScorer(stored.facts, stored.scope)(stored.table, setting)


def test_comparing_counts_its_comparisons(tmp_path: Path) -> None:
    _evaluated(tmp_path)
    recorder = Recorder()
    a, b = (side_of(Store(tmp_path), text, None, Form()) for text in ("msvr310-mdreid", "msvr310-editor"))
    assert len(comparisons(a, b, (), recorder)) == len(PROTOCOLS)
    assert recorder.totals == [len(PROTOCOLS)] == [recorder.done]


def test_merging_counts_what_it_compares_and_what_it_copies(tmp_path: Path) -> None:
    _evaluated(tmp_path / "from")
    recorder = Recorder()
    plan = merge([tmp_path / "from"], Store(tmp_path / "to"), recorder)
    assert recorder.totals == [0, 2 * len(PROTOCOLS), len(plan.copies)]
    assert recorder.done == sum(recorder.totals)


def test_indexing_counts_its_items(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mdreid_bench.search.search_index._CHUNK", 7)
    vectors, recorder = np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32), Recorder()
    items = Items.of(seen(f"{row:02d}", {Modality.R: Path("a.jpg")}) for row in range(20))
    built = SearchIndex.build(vectors, items, run="a-run", weights=None, reporter=recorder)
    assert recorder.totals == [20] == [recorder.done]
    assert built.parts[0][0].ntotal == 20
    assert built.search(vectors[13], 20)[0].score == pytest.approx(float((vectors @ vectors[13]).max()))


class Slow:
    """A clock by which every look takes six seconds."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 6
        return self.now


def test_a_report_shows_how_far_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(tmp_path, study(suites=("all",)))
    for record in study(suites=("paper-matched",)):
        path = next(tmp_path.glob(f"runs/*{record.run_key[:10]}/full/{record.protocol}.json"))
        digest = query_values().write(path.with_suffix(".npz"))
        path.unlink()
        stored = {"per_query": path.with_suffix(".npz").name, "per_query_digest": digest}
        put(tmp_path, [record.model_copy(update=stored)])
    given = ReportOptions(published=False, html=True, out=tmp_path / "out", results=tmp_path)
    assert ReportSession(given, Console(Slow())).report() == 0
    said = capsys.readouterr().err
    for task in ("reading ", "drawing heat maps, sweeps and matrices: ", "drawing CMC curves: "):
        lines = [line for line in said.splitlines() if line.startswith(task)]
        assert lines, said
        assert "took" in lines[-1]
    assert " left" in said


def test_the_time_left_is_shown_while_a_task_runs(capsys: pytest.CaptureFixture[str]) -> None:
    with Console(Slow()).track("long work", 10) as step:
        for _ in range(10):
            step()
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("long work: ")
    assert all(" left" in line for line in lines[:-1])
    assert lines[-1].startswith("long work: 10/10, took")
