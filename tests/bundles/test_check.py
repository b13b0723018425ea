"""``check-bundle``: what is wrong with a bundle is named, also where all hashes in it were made anew."""

import json
import os
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mdreid_bench.bundles import archive, manifest
from mdreid_bench.bundles.archive import unpacked, write_zip
from mdreid_bench.bundles.check import check_bundle
from mdreid_bench.bundles.contents import make_bundle
from mdreid_bench.bundles.finding import Kind
from mdreid_bench.bundles.values import check_alone
from mdreid_bench.errors import DataError
from mdreid_bench.evaluation.cells import CellScorer
from mdreid_bench.progress import Silent
from mdreid_bench.results.finding import find_runs
from mdreid_bench.results.open_set import OpenSet
from mdreid_bench.results.schema import Metrics, Record
from mdreid_bench.results.store import Scope, Store, read_values
from mdreid_bench.results.store import load_record as load
from protocols.protocol import Protocol
from protocols.suites import resolve
from tests.bundles.stored import PROTOCOLS, rewrite, scored
from tests.cli.running import Outcome, environment, in_process
from tests.evaluation.stored import Stored

CELL = "R-to-N"


def bundled(root: Path, out: Path) -> Path:
    make_bundle(Store(root), find_runs(Store(root), "msvr310"), out, Silent())
    return out


def check(*arguments: str) -> Outcome:
    return in_process("check-bundle", *arguments, env=environment())


def kinds(path: Path) -> list[str]:
    return [str(finding.kind) for finding in check_bundle(path, Silent()).findings]


@pytest.fixture
def stored(tmp_path: Path) -> Stored:
    return scored(tmp_path / "results")


def test_a_whole_bundle_passes_and_says_of_which_data(stored: Stored, tmp_path: Path) -> None:
    bundle = bundled(tmp_path / "results", tmp_path / "b.zip")
    done = check(str(bundle))
    assert (done.returncode, done.stderr) == (0, f"The bundle {bundle} is whole and consistent.\n")
    assert "SYNTHETIC" in done.stdout
    assert "bbbbbbbbbb" in done.stdout
    told = json.loads(check(str(bundle), "--json").stdout)
    assert (told["ok"], told["findings"]) == (True, [])
    assert [(row["data"], row["protocols"], row["records"]) for row in told["contents"]] == [("synthetic", 2, 2)]


def _metrics(scope: Scope) -> None:
    record = load(scope.record_path(CELL))
    better = record.metrics.model_copy(update={"mAP": min(record.metrics.mAP + 0.1, 1.0)})
    rewrite(scope, CELL, metrics=better)


def _chance(scope: Scope) -> None:
    record = load(scope.record_path(CELL))
    rewrite(scope, CELL, chance=record.chance.model_copy(update={"mAP": record.chance.mAP / 2}))


def _interval(scope: Scope) -> None:
    record = load(scope.record_path(CELL))
    assert record.interval is not None
    rewrite(scope, CELL, interval=record.interval.model_copy(update={"mAP": (record.metrics.mAP,) * 2}))


def _counted(name: str, value: int) -> Callable[[Scope], None]:
    def change(scope: Scope) -> None:
        counts = load(scope.record_path(CELL)).counts
        rewrite(scope, CELL, counts=counts.model_copy(update={name: value}))

    return change


def _values(**changes: Callable[[NDArray[Any]], NDArray[Any]]) -> Callable[[Scope], None]:
    def change(scope: Scope) -> None:
        path = scope.record_path(CELL)
        values = read_values(path, load(path))
        found = {name: how(np.array(getattr(values.metrics, name))) for name, how in changes.items()}
        rewrite(scope, CELL, replace(values, metrics=replace(values.metrics, **found)))

    return change


def _perfect(value: NDArray[Any]) -> NDArray[Any]:
    return np.ones_like(value)


@pytest.mark.parametrize(
    ("change", "kind", "said"),
    [
        (_metrics, Kind.METRICS, "mAP is"),
        (_chance, Kind.METRICS, "mAP of chance is"),
        (_interval, Kind.METRICS, "the interval is"),
        (_counted("queries", 591), Kind.COUNTS, "queries: 591 by the record"),
        (_counted("queries_without_positive", 3), Kind.COUNTS, "queries without a positive: 3 by the record"),
        (_counted("gallery", 5), Kind.COUNTS, "gallery items, at least: 5 by the record"),
        (_counted("identities", 52), Kind.COUNTS, "identities: 52 by the record"),
        (_values(rank1=lambda v: v + 1), Kind.IMPOSSIBLE, "not between 0 and 1"),
        (_values(rank1=_perfect, rank5=lambda v: v * 0), Kind.IMPOSSIBLE, "Rank-k above one of a larger k"),
        (_values(ap=lambda v: v * np.nan), Kind.IMPOSSIBLE, "missing where there is a positive"),
        (_values(positives=lambda v: v + 50), Kind.IMPOSSIBLE, "more positives than items"),
        (
            _values(tied_positives=lambda v: v * 0, first_hit_rank=lambda v: v * 0 + 1.5),
            Kind.IMPOSSIBLE,
            "a first positive at a rank that there is not",
        ),
        (
            _values(
                tied_positives=lambda v: v * 0,
                first_hit_rank=lambda v: v * 0 + 2,
                **dict.fromkeys(("rank1", "rank5", "rank10", "rank20"), _perfect),
            ),
            Kind.IMPOSSIBLE,
            "a Rank-k that the rank of the first positive contradicts",
        ),
    ],
)
def test_a_careful_lie_is_found_out(
    stored: Stored, tmp_path: Path, change: Callable[[Scope], None], kind: Kind, said: str
) -> None:
    """All digests are right: only what follows from what gives it away."""
    change(stored.scope)
    found = check_bundle(bundled(tmp_path / "results", tmp_path / "b.zip"), Silent()).findings
    assert kind in [finding.kind for finding in found]
    assert any(said in finding.what for finding in found)
    assert all(finding.file.endswith(f"full/{CELL}.json") for finding in found)


def _open(told: OpenSet, field: str, change: Callable[[NDArray[Any]], NDArray[Any]]) -> OpenSet:
    return told.model_copy(update={field: tuple(map(tuple, change(np.array(getattr(told, field))).tolist()))})


def _a_little_more(matrix: NDArray[Any]) -> NDArray[Any]:
    """Raise one entry, with all of higher ranks and rates, so that none falls."""
    raised = matrix.copy()
    raised[1:, 3:] = np.maximum(raised[1:, 3:], matrix[1, 3] + 1e-6)
    return raised


LIES: tuple[tuple[Callable[[OpenSet], OpenSet], str, bool], ...] = (
    (lambda told: told, "", False),
    (lambda told: _open(told, "mean", _a_little_more), "metrics: DIR at rank 10 and a FAR of 0.01 is", False),
    (lambda told: _open(told, "chance", lambda v: v / 2), "metrics: DIR of chance at rank", False),
    (lambda told: _open(told, "mean", lambda v: v[:, ::-1]), "impossible-values: DIR falls where", True),
    (lambda told: _open(told, "mean", lambda v: v * 0), "impossible-values: DIR at a FAR of 1 is below", True),
    (lambda told: told.model_copy(update={"mated": (1, 9)}), "counts: mated probes: 1 to 9 by the record", True),
    (lambda told: told.model_copy(update={"splits": 10**12}), "contradiction: its open set has other", True),
)
"""What is made of a true open set, what is then found first, and whether that takes no embeddings."""


def test_an_open_set_is_measured_again_from_embeddings_or_held_against_its_queries(
    stored: Stored, tmp_path: Path
) -> None:
    measured = CellScorer(stored.facts, stored.scope).open_set(stored.table, Protocol.parse(CELL))
    for number, (change, said, alone) in enumerate(LIES):
        rewrite(stored.scope, CELL, open_set=change(measured))
        bundle = bundled(tmp_path / "results", tmp_path / f"{number}.zip")
        for own, results in ((False, "elsewhere"), (True, "results"))[: 1 if alone else 2]:
            found = check_bundle(bundle, Silent(), Store(tmp_path / results))
            assert list(found.open_sets.values()) == [own]
            told = [f"{finding.kind}: {finding.what}" for finding in found.findings]
            assert bool(told) == bool(said and (own or alone)), (said, told)
            assert not told or told[0].startswith(said)
    done = check(str(tmp_path / "0.zip"), "--results", str(tmp_path / "results"))
    assert (done.returncode, "measured again from embeddings in" in done.stderr) == (0, True), done.stderr


def test_real_rankings_without_ties_are_never_called_impossible(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)

    def drawn(matrix: NDArray[Any]) -> NDArray[Any]:
        return rng.normal(size=matrix.shape).astype(np.float32)

    scored(tmp_path / "results", PROTOCOLS, seed=2)
    many = scored(tmp_path / "results", (), method="editor")
    table = many.changed(drawn)
    for setting in resolve(["ablation"]):
        CellScorer(many.facts, many.scope)(table, setting)
    assert kinds(bundled(tmp_path / "results", tmp_path / "b.zip")) == []


def test_a_constant_scorer_is_named(tmp_path: Path) -> None:
    same = scored(tmp_path / "results", (), seed=1)
    table = same.changed(lambda matrix: np.ones_like(matrix))
    CellScorer(same.facts, same.scope)(table, Protocol.parse(CELL))
    bundle = bundled(tmp_path / "results", tmp_path / "b.zip")
    done = check(str(bundle))
    assert done.returncode == 3
    assert "constant-scorer" in done.stdout
    assert "1 finding (constant-scorer: 1)" in done.stderr
    allowed = check(str(bundle), "--allow", "constant-scorer")
    assert (allowed.returncode, "allowed" in allowed.stdout) == (0, True)


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"selection": "best-test"}, Kind.SELECTION),
        ({"feature_batch": 64}, Kind.BATCH),
        ({"data_kind": "real"}, Kind.MIXED),
        ({"test_fingerprint": "f" * 12}, Kind.MIXED),
        ({"train_fingerprint": "f" * 12}, Kind.MIXED),
    ],
)
def test_what_a_record_says_of_itself_is_named(tmp_path: Path, changes: dict[str, object], kind: Kind) -> None:
    for seed in (0, 1):
        scored(tmp_path / "results", (CELL,), seed=seed, **(changes if seed else {}))
    assert kind in kinds(bundled(tmp_path / "results", tmp_path / "b.zip"))


def test_re_ranking_is_named(stored: Stored, tmp_path: Path) -> None:
    rewrite(stored.scope, CELL, rerank="20-6-0.3")
    assert kinds(bundled(tmp_path / "results", tmp_path / "b.zip")) == ["re-ranking"]


def test_records_that_contradict_their_run_are_named(stored: Stored, tmp_path: Path) -> None:
    rewrite(stored.scope, CELL, selection="best-test", method_version=7)
    found = check_bundle(bundled(tmp_path / "results", tmp_path / "b.zip"), Silent()).findings
    assert [finding.kind for finding in found] == [Kind.SELECTION, Kind.CONTRADICTION]
    assert "method_version, selection" in found[1].what


def test_other_queries_on_the_same_data_are_named(tmp_path: Path) -> None:
    scored(tmp_path / "results", (CELL,), seed=0)
    other = scored(tmp_path / "results", (CELL,), seed=1)
    path = other.scope.record_path(CELL)
    values = read_values(path, load(path))
    rewrite(other.scope, CELL, replace(values, names=np.char.add(values.names, "x")))
    assert kinds(bundled(tmp_path / "results", tmp_path / "b.zip")) == ["counts"]


def test_published_counts_are_compared_on_real_data(tmp_path: Path) -> None:
    scored(tmp_path / "results", (CELL,), data_kind="real")
    found = check_bundle(bundled(tmp_path / "results", tmp_path / "b.zip"), Silent()).findings
    assert [finding.what.split(",")[1] for finding in found] == [" and MSVR310 has 591", " and MSVR310 has 1055"]


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("plain")
    scored(root / "results")
    with zipfile.ZipFile(bundled(root / "results", root / "b.zip")) as bundle:
        bundle.extractall(root / "folder")
    return root / "folder"


def packed(folder: Path, out: Path, more: dict[str, bytes], anew: bool = True) -> Path:
    """Make a bundle of changed files, with their hashes made anew or not."""
    files: dict[str, Path | bytes] = {name: folder / name for name in archive.files_in(folder)}
    files |= more
    if anew:
        del files[manifest.NAME]
        files[manifest.NAME] = manifest.manifest(files).encode()
    write_zip(out, files)
    return out


def test_files_that_are_not_those_of_the_list_are_named(opened: Path, tmp_path: Path) -> None:
    changed = packed(opened, tmp_path / "c.zip", {"environment.json": b"{}", "extra": b"x"}, anew=False)
    assert kinds(changed) == ["changed-file", "unlisted-file"]
    (run,) = os.listdir(opened / "runs")
    more = {f"runs/{run}/full/R-to-R.npz": b"x", "runs/weights.pt": b"x"}
    listed = packed(opened, tmp_path / "d.zip", more)
    assert kinds(listed) == ["odd-file", "odd-file"]
    with zipfile.ZipFile(changed) as bundle:
        files = {name: bundle.read(name) for name in bundle.namelist() if not name.endswith("R-to-N.npz")}
    write_zip(tmp_path / "e.zip", files)
    found = {finding.kind for finding in check_bundle(tmp_path / "e.zip", Silent()).findings}
    assert found == {Kind.MISSING, Kind.CHANGED, Kind.UNLISTED, Kind.DAMAGED}


def test_merging_makes_its_own_checks_on_what_a_bundle_lists(opened: Path, tmp_path: Path) -> None:
    name = next(name for name in archive.files_in(opened) if name.endswith(f"{CELL}.npz"))
    bundle = packed(opened, tmp_path / "m.zip", {name: (opened / name).read_bytes()[:-1]})
    done = in_process("merge", str(bundle), "--results", str(tmp_path / "new"), env=environment())
    assert (done.returncode, done.stderr.count("\n")) == (3, 1)
    assert (
        f"Nothing was merged because of 1 conflict, to be settled on one side: The per-query values {bundle}/{name}"
        in (done.stderr)
    )
    assert not list((tmp_path / "new").rglob("*.json"))


def test_another_schema_version_is_named(opened: Path, tmp_path: Path) -> None:
    name = next(name for name in archive.files_in(opened) if name.endswith(f"{CELL}.json"))
    content = json.loads((opened / name).read_text()) | {"schema_version": 99}
    files: dict[str, Path | bytes] = {one: opened / one for one in archive.files_in(opened)}
    del files[manifest.NAME]
    files[name] = json.dumps(content).encode()
    write_zip(tmp_path / "v.zip", files | {manifest.NAME: manifest.manifest(files).encode()})
    (finding,) = check_bundle(tmp_path / "v.zip", Silent()).findings
    assert (finding.kind, finding.file) == (Kind.VERSION, name)
    assert "newer schema version 99" in finding.what


def raw(path: Path, members: list[tuple[zipfile.ZipInfo, bytes]]) -> Path:
    with zipfile.ZipFile(path, "w") as bundle:
        for member, content in members:
            bundle.writestr(member, content)
    return path


def member(name: str, mode: int = 0o100644, compressed: int = zipfile.ZIP_STORED) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr, info.compress_type = mode << 16, compressed
    return info


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ([(member("../outside"), b"x")], "leads out of it"),
        ([(member("runs/../../outside"), b"x")], "leads out of it"),
        ([(member("/etc/passwd"), b"x")], "leads out of it"),
        ([(member("C:/outside"), b"x")], "leads out of it"),
        ([(member("..\\outside"), b"x")], "leads out of it"),
        ([(member("a\x1b[31m"), b"x")], "is no name of a file in a bundle"),
        ([(member(".hidden"), b"x")], "is no name of a file in a bundle"),
        ([(member("a/b/c/d/e"), b"x")], "is no name of a file in a bundle"),
        ([(member("link", 0o120777), b"/etc/passwd")], "is a link or a device"),
        ([(member("Runs"), b"x"), (member("runs"), b"y")], "have one name where case does not count"),
        ([(member("runs"), b"x"), (member("runs/a"), b"y")], "cannot be unpacked"),
        ([(member("a", compressed=zipfile.ZIP_LZMA), b"x")], "is compressed in an unusual way"),
        ([(member("a", compressed=zipfile.ZIP_DEFLATED), bytes((64 << 20) + 1))], "bytes in one file"),
        ([(member(str(n), compressed=zipfile.ZIP_DEFLATED), bytes(60 << 20)) for n in range(2)], "claim to hold"),
    ],
)
def test_what_is_not_safe_is_not_opened(
    tmp_path: Path, members: list[tuple[zipfile.ZipInfo, bytes]], said: str
) -> None:
    bundle = raw(tmp_path / "b.zip", members)
    for arguments in (("check-bundle", str(bundle)), ("merge", str(bundle), "--results", str(tmp_path / "new"))):
        done = in_process(*arguments, env=environment())
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (3, "", 1)
        assert said in done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"b.zip"}


def test_two_files_of_one_name_and_hidden_ones_are_refused(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate name"):
        twice = raw(tmp_path / "a.zip", [(member("a"), b"x"), (member("a"), b"y")])
    with pytest.raises(DataError, match="have one name"), unpacked(twice):
        pass
    content = raw(tmp_path / "b.zip", [(member("a"), b"x"), (member("b"), b"y")]).read_bytes()
    end = content.rindex(b"PK\x05\x06")
    (tmp_path / "b.zip").write_bytes(content[: end + 10] + b"\x03\x00" + content[end + 12 :])
    with pytest.raises(DataError, match="list of files is damaged"), unpacked(tmp_path / "b.zip"):
        pass


def test_a_size_that_is_claimed_is_not_believed(tmp_path: Path) -> None:
    content = raw(tmp_path / "b.zip", [(member("a", compressed=zipfile.ZIP_DEFLATED), bytes(100_000))]).read_bytes()
    claimed = content.replace((100_000).to_bytes(4, "little"), (99).to_bytes(4, "little"))
    (tmp_path / "b.zip").write_bytes(claimed)
    with pytest.raises(DataError, match="no zip file, or damaged"), unpacked(tmp_path / "b.zip"):
        pass


def test_files_that_share_their_bytes_are_refused(tmp_path: Path) -> None:
    content = raw(tmp_path / "b.zip", [(member("a"), b"x" * 50), (member("b"), b"x" * 50)]).read_bytes()
    second = content.index(b"PK\x03\x04", 4)
    (tmp_path / "b.zip").write_bytes(content.replace(second.to_bytes(4, "little") + b"b", bytes(4) + b"b"))
    with pytest.raises(DataError, match="shares its bytes with another file"), unpacked(tmp_path / "b.zip"):
        pass


def test_more_files_than_bundles_have_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = raw(tmp_path / "b.zip", [(member(str(number)), b"") for number in range(5)])
    monkeypatch.setattr(archive, "MOST_FILES", 4)
    with pytest.raises(DataError, match="holds 5 files, and bundles have 4 at most"), unpacked(bundle):
        pass


def test_links_in_an_unpacked_bundle_are_refused(opened: Path, tmp_path: Path) -> None:
    os.symlink(opened, tmp_path / "link")
    (tmp_path / manifest.NAME).write_text("")
    done = check(str(tmp_path))
    assert (done.returncode, "link is a link" in done.stderr) == (3, True)


def test_what_is_no_bundle_has_a_sentence(tmp_path: Path) -> None:
    done = check(str(tmp_path))
    assert done.returncode == 3
    assert "is no bundle: SHA256SUMS is not at its top" in done.stderr
    wrong = check(str(tmp_path), "--allow", "metrics")
    assert wrong.returncode == 2
    assert "Unknown kind 'metrics'" in wrong.stderr


def test_figures_alone_prove_nothing_but_show_a_constant_scorer(tmp_path: Path) -> None:
    stored = scored(tmp_path / "results", (CELL,))
    record = load(stored.scope.record_path(CELL))
    bare = record.model_copy(update={"per_query": None, "per_query_digest": None})
    assert [finding.kind for finding in check_alone("x", bare)] == [Kind.UNPROVEN]
    random: Record = bare.model_copy(update={"metrics": Metrics(**bare.chance.model_dump())})
    assert [finding.kind for finding in check_alone("x", random)] == [Kind.UNPROVEN, Kind.CONSTANT]
