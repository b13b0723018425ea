"""A bundle: the same bytes from the same results, and the same report from a folder that was empty before."""

import subprocess
import zipfile
from pathlib import Path

import pytest

from mdreid_bench.bundles.archive import unpacked
from mdreid_bench.errors import DataError
from tests.bundles.stored import rewrite, scored
from tests.cli.running import Outcome, environment, in_process
from tests.results.factory import metrics


def call(*arguments: str) -> Outcome:
    return in_process(*arguments, env=environment())


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("bundled") / "results"
    for method in ("mdreid", "editor"):
        for seed in (0, 1):
            scored(root, method=method, seed=seed)
    return root


@pytest.fixture(scope="module")
def bundle(results: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("sent") / "ours.zip"
    done = call("bundle", "all", str(out), "--results", str(results))
    assert done.returncode == 0, done.stderr
    assert (done.stdout, done.stderr) == (f"{out}\n", "8 records of 4 runs bundled.\n")
    return out


def test_the_same_results_make_the_same_bytes(results: Path, bundle: Path, tmp_path: Path) -> None:
    for path in results.rglob("*.json"):
        path.touch()
    names = [path.name for path in (results / "runs").iterdir()]
    again = call("bundle", *sorted(names, reverse=True), str(tmp_path / "b.zip"), "--results", str(results))
    assert again.returncode == 0, again.stderr
    assert (tmp_path / "b.zip").read_bytes() == bundle.read_bytes()


def test_merged_into_an_empty_folder_it_reproduces_the_report(results: Path, bundle: Path, tmp_path: Path) -> None:
    merged = call("merge", str(bundle), "--results", str(tmp_path / "new"))
    assert merged.returncode == 0, merged.stderr
    assert "8 records merged" in merged.stderr
    written = []
    for folder, out in ((results, "before"), (tmp_path / "new", "after")):
        formats = ("--latex", "--markdown", "--csv", "--html", "--out", str(tmp_path / out))
        done = call("report", *formats, "--results", str(folder))
        assert done.returncode == 0, done.stderr
        written.append({path.name: path.read_bytes() for path in (tmp_path / out).rglob("*.*")})
    before, after = written
    assert {"report.md", "report.html", "results.csv", "main.tex"} <= before.keys()
    assert before == after


def test_an_unpacked_bundle_is_merged_too_and_a_changed_one_is_not(bundle: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(bundle) as archive:
        archive.extractall(tmp_path / "bundle")
    assert call("merge", str(tmp_path / "bundle"), "--results", str(tmp_path / "new")).returncode == 0
    (tmp_path / "bundle" / "model-card.md").write_text("ours is best")
    done = call("merge", str(tmp_path / "bundle"), "--results", str(tmp_path / "other"))
    assert done.returncode == 3
    assert "is not whole: model-card.md: its SHA-256 is not the one in SHA256SUMS" in done.stderr
    assert not (tmp_path / "other").exists()


def test_the_list_of_hashes_is_read_by_the_usual_program(bundle: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(bundle) as archive:
        archive.extractall(tmp_path)
    done = subprocess.run(["sha256sum", "--check", "SHA256SUMS"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert len(done.stdout.splitlines()) == len(list(tmp_path.rglob("*.*"))) == 26


def test_a_conflict_names_the_file_in_the_bundle(bundle: Path, tmp_path: Path) -> None:
    scored(tmp_path / "new", method="editor", seed=0)
    stored = scored(tmp_path / "new", method="mdreid", seed=0)
    rewrite(stored.scope, "R-to-N", metrics=metrics(0.1))
    done = call("merge", str(bundle), "--results", str(tmp_path / "new"))
    assert done.returncode == 3
    (name,) = [path.name for path in (tmp_path / "new" / "runs").glob("*mdreid*")]
    assert f"{bundle}/runs/{name}/full/R-to-N.json differ in metrics" in done.stderr


def test_the_model_card_says_what_must_be_known(bundle: Path) -> None:
    with zipfile.ZipFile(bundle) as archive:
        card = archive.read("model-card.md").decode()
    assert card.startswith("# Model card: EDITOR, MDReID on MSVR310 (synthetic)\n")
    for section in (
        "What it is",
        "Data",
        "Recipe, seeds and how to make it again",
        "Figures",
        "Environment",
        "Limits",
    ):
        assert f"\n## {section}\n" in card
    assert "SYNTHETIC images" in card
    again = "    mdreid-bench run --dataset msvr310 --method editor --preset tiny --seed 0 --seed 1 --protocol R-to-N"
    assert again in card
    assert "synthetic images say nothing about the published data" in card
    assert "seeds 0, 1" in card
    row = next(line for line in card.splitlines() if line.startswith("| RNT-to-RNT"))
    assert row.count("[") == 2  # an interval for each seed


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("mdreid", "editor"), 2, "editor is no name of a .zip file"),
        (("no-such-run", "out.zip"), 2, "Unknown run"),
    ],
)
def test_mistakes_have_a_sentence(results: Path, arguments: tuple[str, str], code: int, said: str) -> None:
    done = call("bundle", *arguments, "--results", str(results))
    assert (done.returncode, done.stderr.count("\n")) == (code, 1)
    assert said in done.stderr


def test_all_leaves_out_what_has_no_records_yet_and_a_name_does_not(tmp_path: Path) -> None:
    scored(tmp_path / "results", ("R-to-N",))
    scored(tmp_path / "results", (), method="editor")
    given = (str(tmp_path / "o.zip"), "--results", str(tmp_path / "results"))
    done = call("bundle", "all", *given)
    assert (done.returncode, "1 record of 1 run bundled" in done.stderr) == (0, True)
    assert "Warning: msvr310-editor-tiny-s0-" in done.stderr
    named = call("bundle", "msvr310-editor", *given)
    assert (named.returncode, "has no records" in named.stderr) == (3, True)


def test_a_damaged_record_is_not_bundled(tmp_path: Path) -> None:
    stored = scored(tmp_path / "results")
    values = stored.scope.path / "R-to-N.npz"
    values.write_bytes(values.read_bytes()[:-1])
    done = call("bundle", "all", str(tmp_path / "o.zip"), "--results", str(tmp_path / "results"))
    assert done.returncode == 3
    assert "R-to-N.npz are not those of the record" in done.stderr
    assert not (tmp_path / "o.zip").exists()


def test_what_is_no_zip_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"PK and so on")
    with pytest.raises(DataError, match="is no zip file, or damaged"), unpacked(tmp_path / "a.zip"):
        pass
    with pytest.raises(DataError, match="There is no bundle"), unpacked(tmp_path / "b.zip"):
        pass
