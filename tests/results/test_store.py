"""Where runs lie, and that a bad file is named, not raised."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from mdreid_bench.errors import DataError
from mdreid_bench.results.form import Form
from mdreid_bench.results.schema import Record, RunId
from mdreid_bench.results.storage.hashes import content_hash
from mdreid_bench.results.store import Scope, Store, load_record
from protocols.reranking import Reranking
from tests.results.factory import make_record, query_values


def scope_of(store: Store, record: Record) -> Scope:
    return store.folder(record).scope(record.limit)


def put(store: Store, record: Record) -> Path:
    scope = scope_of(store, record)
    scope.write(record, query_values())
    return scope.path_of(record)


def test_the_folder_is_named_after_the_run(tmp_path: Path) -> None:
    run = RunId(dataset="msvr310", method="mdreid", preset="tiny", seed=7, run_key="0123456789abcdef")
    folder = Store(tmp_path).folder(run)
    assert folder.path == tmp_path / "runs" / "msvr310-mdreid-tiny-s7-0123456789"
    assert folder.config.name == "config.yaml"
    assert folder.scope(None).path.name == "full"
    assert folder.scope(200).embeddings == folder.path / "limit-200" / "embeddings"


def test_a_record_is_read_back_and_names_its_per_query_file(tmp_path: Path) -> None:
    store, record = Store(tmp_path), make_record(limit=200)
    path = put(store, record)
    assert path.relative_to(tmp_path) == Path("runs/msvr310-mdreid-tiny-s0-0000000000/limit-200/R-to-NT.json")
    digest = content_hash(path.with_suffix(".npz"))
    expected = record.model_copy(update={"per_query": "R-to-NT.npz", "per_query_digest": digest})
    assert scope_of(store, record).believed("R-to-NT") == expected
    assert load_record(path) == expected
    assert list(store.records()) == [(path, expected)]


def test_a_missing_record_is_none(tmp_path: Path) -> None:
    assert scope_of(Store(tmp_path), make_record()).believed("R-to-NT") is None
    assert list(Store(tmp_path).records()) == []


def test_the_two_average_precisions_lie_side_by_side(tmp_path: Path) -> None:
    store, standard = Store(tmp_path), make_record()
    trapezoid = make_record(average_precision="trapezoid")
    paths = [put(store, standard), put(store, trapezoid)]
    assert [path.name for path in paths] == ["R-to-NT.json", "R-to-NT.trapezoid.json"]
    found = scope_of(store, standard).believed("R-to-NT", Form("trapezoid"))
    assert found is not None
    assert found.average_precision == "trapezoid"


def test_records_come_in_the_order_of_their_paths(tmp_path: Path) -> None:
    store = Store(tmp_path)
    records = [make_record(protocol=protocol, seed=seed) for seed in (1, 0) for protocol in ("R-to-R", "N-to-N")]
    written = [put(store, record) for record in records]
    assert [path for path, _ in store.records()] == sorted(written)


def test_bad_files_are_named_and_the_others_are_still_read(tmp_path: Path) -> None:
    store = Store(tmp_path)
    good, cut, edited = (put(store, make_record(protocol=name)) for name in ("R-to-R", "N-to-N", "T-to-T"))
    cut.write_bytes(cut.read_bytes()[:-20])
    edited.write_text(edited.read_text().replace('"mAP": 0.4,', '"mAP": 0.9,'))
    found = dict(store.records())
    assert isinstance(found[good], Record)
    assert found[cut] == "is not complete JSON"
    assert "changed after it was written" in str(found[edited])
    with pytest.raises(DataError, match=r"N-to-N\.json is not complete JSON; run the cell again"):
        load_record(cut)


def test_a_copied_record_is_not_counted_twice(tmp_path: Path) -> None:
    store = Store(tmp_path)
    original = put(store, make_record())
    copy = original.with_name("R-to-N.json")
    shutil.copy(original, copy)
    elsewhere = original.parents[1] / "limit-5" / original.name
    elsewhere.parent.mkdir()
    shutil.copy(original, elsewhere)
    found = dict(store.records())
    assert isinstance(found[original], Record)
    assert "wrong place" in str(found[copy])
    assert "wrong place" in str(found[elsewhere])


def test_leftovers_of_an_interrupted_write_are_not_records(tmp_path: Path) -> None:
    store = Store(tmp_path)
    path = put(store, make_record())
    path.with_name(".R-to-NT.json.1-ab.tmp").write_text("{")
    assert [found for found, _ in store.records()] == [path]


def test_a_record_of_another_run_is_refused(tmp_path: Path) -> None:
    record = make_record()
    scope = Store(tmp_path).folder(record).scope(5)
    with pytest.raises(ValueError, match="wrong place"):
        scope.write(record, query_values())


def test_re_ranked_results_lie_beside_the_others_and_never_stand_for_them(tmp_path: Path) -> None:
    store, plain = Store(tmp_path), make_record()
    path = put(store, make_record(rerank="20-6-0.3"))
    assert path.name == "R-to-NT.rerank-20-6-0.3.json"
    assert scope_of(store, plain).believed("R-to-NT") is None
    put(store, plain)
    forms = (Form(), Form(reranking=Reranking(20, 6, 0.3)))
    found = [scope_of(store, plain).believed("R-to-NT", form) for form in forms]
    assert [record and record.rerank for record in found] == [None, "20-6-0.3"]
    shutil.copy(path, path.with_name("R-to-NT.json"))
    assert scope_of(store, plain).believed("R-to-NT") is None


def test_a_record_whose_values_are_gone_or_others_is_not_believed(tmp_path: Path) -> None:
    store, record = Store(tmp_path), make_record()
    scope, path = scope_of(store, record), put(store, record)
    values = path.with_suffix(".npz")
    content = values.read_bytes()
    values.unlink()
    assert scope.believed("R-to-NT") is None
    values.write_bytes(content[:-1] + b"x")
    assert scope.believed("R-to-NT") is None
    values.write_bytes(content)
    assert scope.believed("R-to-NT") is not None


def test_a_folder_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path)
    paths = [put(store, make_record(seed=seed)) for seed in (0, 1, 2)]
    closed = {paths[0].parents[1], paths[1].parent}
    original = Path.iterdir

    def iterdir(self: Path) -> Iterator[Path]:
        if self in closed:
            raise PermissionError(13, "Permission denied", str(self))
        return original(self)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    found = dict(store.records())
    assert set(found) == {*closed, paths[2]}
    assert isinstance(found[paths[2]], Record)
    assert {found[path] for path in closed} == {"cannot be read (Permission denied)"}


def test_records_of_before_are_named_as_such(tmp_path: Path) -> None:
    store = Store(tmp_path)
    path = put(store, make_record())
    content = json.loads(path.read_text()) | {"schema_version": 2}
    path.write_text(json.dumps(content))
    assert dict(store.records())[path] == (
        "has schema version 2 of an earlier mdreid-bench, which did not bind it to its files"
    )
