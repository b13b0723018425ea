"""``mdreid-bench report``, from stored records to files."""

import csv
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from typer.testing import CliRunner

import protocols.suites
from mdreid_bench.cli import report_command
from mdreid_bench.cli.app import app
from mdreid_bench.results.store import Store
from protocols.protocol import Protocol
from protocols.suites import SUITES
from tests.cli.running import environment
from tests.report.fakes import ablation, put, study


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results folder with two methods under all protocols on two datasets, and an ablation."""
    root = tmp_path_factory.mktemp("results")
    put(root, study(datasets=["rgbnt201", "msvr310"], suites=["all"], seeds=(0,)))
    put(root, ablation(seeds=(0,)))
    return root


class Written(NamedTuple):
    """What a call with all forms said, and its folder."""

    done: Any
    folder: Path


@pytest.fixture(scope="module")
def written(results: Path, tmp_path_factory: pytest.TempPathFactory) -> Written:
    folder = tmp_path_factory.mktemp("tables")
    return Written(report(results, "--latex", "--markdown", "--csv", "--html", "--out", str(folder)), folder)


def report(results: Path, *arguments: str) -> Any:
    return CliRunner(env=environment()).invoke(app, ["report", "--results", str(results), *arguments])


def test_all_forms(written: Written) -> None:
    assert written.done.exit_code == 0, written.done.output
    sections = ("paper-matched", "paper-mismatched", "missing", "ablation", "grid", "cost")
    expected = {f"{name}.csv" for name in sections} | {"report.md", "report.html", "results.csv"}
    for method in ("mdreid", "single-classifier"):
        for dataset in ("rgbnt201", "msvr310"):
            stem = f"heat-map-of-{method}-map-{dataset}-synthetic"
            expected |= {f"{stem}.svg", f"{stem}.png"}
    fragments = {path.relative_to(written.folder).as_posix() for path in written.folder.glob("latex/*")}
    assert {path.name for path in written.folder.iterdir()} == expected | {"main.tex", "latex"}
    lines = written.done.stdout.splitlines()
    assert {Path(line).relative_to(written.folder).as_posix() for line in lines} == expected | {
        "main.tex",
        *fragments,
    }
    main = (written.folder / "main.tex").read_text(encoding="utf-8")
    assert set(re.findall(r"\\input\{(.*)\}", main)) == fragments
    assert "latex/missing-map-msvr310-synthetic.tex" in fragments
    assert lines[-1] == str(written.folder / "report.html")


def test_the_tidy_table_has_a_row_a_number_and_json_the_same(written: Written, results: Path) -> None:
    lines = list(csv.DictReader((written.folder / "results.csv").read_text(encoding="utf-8").splitlines()))
    rows = json.loads(report(results, "--json").stdout)
    assert len(lines) == len(rows) == 5 * len(Store(results).paths())
    assert [float(line["value"]) for line in lines] == [row["value"] for row in rows]
    first = next(row for row in rows if row["metric"] == "mAP")
    record = next(r for _, r in Store(results).records() if not isinstance(r, str) and r.folder_name == first["run"])
    assert (first["dataset"], first["data_kind"], first["seed"]) == (record.dataset, "synthetic", record.seed)
    assert 100 * record.chance.mAP == first["chance"]


def test_every_form_says_that_the_data_are_synthetic(written: Written) -> None:
    for name in ("latex/paper-matched-msvr310-synthetic.tex", "report.md", "report.html"):
        text = (written.folder / name).read_text(encoding="utf-8")
        assert "SYNTHETIC" in text
        assert "591 queries" in text
        assert "0123456789" in text
    assert "measured on synthetic data" in (written.folder / "missing.csv").read_text(encoding="utf-8")


def test_pictures_that_markdown_names_are_there(written: Written) -> None:
    named = re.findall(r"!\[.*\]\((.*)\)", (written.folder / "report.md").read_text(encoding="utf-8"))
    assert len(named) == 4
    assert all((written.folder / name).is_file() for name in named)


def test_latex_alone_draws_no_pictures(results: Path, tmp_path: Path) -> None:
    report(results, "--latex", "--out", str(tmp_path))
    assert {path.suffix for path in tmp_path.rglob("*") if path.is_file()} == {".tex"}


def test_everything_lies_in_the_folder_that_was_named(
    results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    put(there, study(["mdreid"], suites=["paper-matched", "missing"], seeds=(0,)))
    monkeypatch.chdir(here)
    before = set(there.rglob("*"))
    done = report(there, "--latex", "--markdown", "--csv", "--html", "--no-published")
    assert done.exit_code == 0, done.stderr
    assert not list(here.iterdir())
    new = {path for path in set(there.rglob("*")) - before if path.is_file()}
    assert {Path(line) for line in done.stdout.splitlines()} == new
    assert all(path.is_relative_to(there / "tables") for path in new)


def test_caption_and_label_are_those_that_were_given(results: Path, tmp_path: Path) -> None:
    one = ("--latex", "--out", str(tmp_path), "--suite", "missing", "--no-published", "--label", "tab:mine")
    done = report(results, *one, "--dataset", "msvr310", "--caption", r"Ours, in \,\%.")
    assert done.exit_code == 0, done.stderr
    (path,) = tmp_path.glob("latex/*")
    text = path.read_text(encoding="utf-8")
    assert "\\caption{Ours, in \\,\\%.}\n\\label{tab:mine}\n" in text
    assert "SYNTHETIC" in text
    assert report(results, *one).exit_code == 0
    labels = [re.findall(r"\\label\{(.*)\}", path.read_text(encoding="utf-8")) for path in tmp_path.glob("latex/*")]
    assert sorted(labels) == [["tab:mine-missing-msvr310-synthetic"], ["tab:mine-missing-rgbnt201-synthetic"]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--caption", "x"), "--caption goes with --latex"),
        (("--latex", "--label", "tab:{x}"), "--label takes letters, digits"),
        (("--latex", "--caption", "x"), "and there are 20; choose one"),
        (("--latex", "--caption", "a}{b", "--suite", "missing", "--dataset", "msvr310"), "braces come in pairs"),
    ],
)
def test_misused_captions_are_named(results: Path, tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    done = report(results, "--out", str(tmp_path / "out"), *arguments)
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1)
    assert message in done.stderr
    assert not (tmp_path / "out").exists()


def test_without_a_form_the_tables_are_shown(results: Path) -> None:
    done = report(results, "--suite", "missing", "--dataset", "msvr310", "--no-published")
    assert done.exit_code == 0
    assert "Missing modality: the same sensors on both sides, but not all three, MSVR310 (synthetic)" in done.stdout
    assert "rgbnt201" not in done.stdout
    assert "published" not in done.stdout.replace("published images", "")


def test_a_choice_of_methods(results: Path) -> None:
    done = report(results, "--suite", "paper-matched", "--method", "MDReID", "--dataset", "rgbnt201")
    assert "MDReID" in done.stdout
    assert "single-classifier" not in done.stdout
    assert "HTT" not in done.stdout


def test_a_choice_of_seeds_and_preset(tmp_path: Path) -> None:
    put(tmp_path, study(["mdreid"], suites=["paper-matched"], seeds=(1, 2)))
    put(tmp_path, study(["mdreid"], suites=["paper-matched"], seeds=(3,), preset="paper"))
    every = report(tmp_path, "--no-published")
    assert "seeds 1, 2, 3" in every.stdout
    one = report(tmp_path, "--no-published", "--seed", "1", "--seed", "1")
    assert "MDReID: seed 1." in one.stdout
    assert "±" not in one.stdout
    paper = report(tmp_path, "--no-published", "--preset", "PAPER")
    assert "MDReID: seed 3." in paper.stdout
    nothing = report(tmp_path, "--preset", "paper", "--seed", "1")
    assert nothing.exit_code == 3
    assert "No record" in nothing.stderr
    assert "--preset paper --seed 1" in nothing.stderr
    assert report(tmp_path, "--preset", "papr").exit_code == 2


def test_a_choice_of_sources(tmp_path: Path) -> None:
    put(tmp_path, study(["mdreid"], ["rgbnt100", "msvr310"], ["paper-matched"], seeds=(1,)))
    nothing = report(tmp_path, "--suite", "transfer")
    assert nothing.exit_code == 3
    assert "'mdreid-bench run --dataset rgbnt100 --source DATASET'" in nothing.stderr.replace("\n", " ")
    apart = {"sources": ("rgbnt100",), "run_key": "e" * 64, "config_key": "e" * 64}
    put(tmp_path, study(["mdreid"], ["msvr310"], ["paper-matched"], seeds=(1,), **apart))
    every = report(tmp_path, "--suite", "transfer").stdout
    assert "Trained on one dataset, tested with another (synthetic)" in every
    assert [line.split()[:2] for line in every.splitlines() if line.startswith("MDReID ")] == [
        ["MDReID", "RGBNT100"],
        ["MDReID", "MSVR310"],
    ]
    shown = report(tmp_path, "--no-published", "--suite", "paper-matched", "--source", "RGBNT100").stdout
    titles = [line for line in shown.splitlines() if line.startswith("Matched: ")]
    assert [title.partition("sides, ")[2] for title in titles] == [
        "RGBNT100 (synthetic)",
        "RGBNT100 → MSVR310 (synthetic)",
    ]
    assert report(tmp_path, "--source", "rgbnt201").exit_code == 3


def test_no_records(tmp_path: Path) -> None:
    done = report(tmp_path / "nothing", "--latex", "--out", str(tmp_path / "out"))
    assert done.exit_code == 3
    assert "mdreid-bench run --dataset msvr310" in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_dataset_without_records_names_the_command_that_makes_some(results: Path) -> None:
    done = report(results, "--dataset", "rgbnt100", "--method", "mdreid")
    assert done.exit_code == 3
    assert "mdreid-bench run --dataset rgbnt100 --method mdreid" in done.stderr


def test_a_suite_without_records_names_the_command_that_makes_some(tmp_path: Path) -> None:
    put(tmp_path, study(suites=["paper-matched"]))
    done = report(tmp_path, "--suite", "missing")
    assert done.exit_code == 3
    assert "mdreid-bench run --dataset rgbnt201 --protocol missing" in done.stderr


def test_any_suite_has_a_table_and_a_file(monkeypatch: pytest.MonkeyPatch, results: Path, tmp_path: Path) -> None:
    known = {**SUITES, "mine": lambda sensors: (Protocol.parse("R-to-N"),)}
    for module in (protocols.suites, report_command):
        monkeypatch.setattr(module, "SUITES", known)
    assert "Suite mine, RGBNT201" in report(results, "--suite", "mine").stdout
    assert report(results, "--suite", "mine", "--latex", "--html", "--out", str(tmp_path)).exit_code == 0
    assert (tmp_path / "latex" / "mine-rgbnt201-synthetic.tex").exists()


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (("--suite", "x"), "paper-mismatched, ablation."),
        (("--suite", "mising"), "Did you mean 'missing'"),
        (("--dataset", "rgbnt2001"), "Did you mean 'rgbnt201'"),
        (("--method", "mdried"), "Did you mean 'mdreid'"),
    ],
)
def test_unknown_names(results: Path, arguments: tuple[str, str], hint: str) -> None:
    done = report(results, *arguments)
    assert done.exit_code == 2
    assert hint in done.stderr


def test_bad_records_are_named_and_skipped_and_the_rest_is_reported(tmp_path: Path) -> None:
    paths = put(tmp_path, study(["mdreid"], seeds=(0,)))
    cut, edited, newer = paths[0], paths[1], paths[2]
    cut.write_text(cut.read_text(encoding="utf-8")[:100], encoding="utf-8")
    content = json.loads(edited.read_text(encoding="utf-8"))
    content["metrics"]["mAP"] = 0.99
    edited.write_text(json.dumps(content), encoding="utf-8")
    content = json.loads(newer.read_text(encoding="utf-8")) | {"schema_version": 99}
    newer.write_text(json.dumps(content), encoding="utf-8")
    done = report(tmp_path, "--latex", "--out", str(tmp_path / "out"))
    assert done.exit_code == 1
    warnings = [line for line in done.stderr.splitlines() if line.startswith("Warning: ")]
    assert len(warnings) == 3
    for path, reason in ((cut, "is not complete JSON"), (edited, "was changed"), (newer, "newer schema version 99")):
        assert any(str(path) in line and reason in line and "skipped" in line for line in warnings)
    assert (tmp_path / "out" / "main.tex").is_file()
    fragments = list((tmp_path / "out" / "latex").iterdir())
    assert fragments
    assert not [path for path in fragments if "0.99" in path.read_text(encoding="utf-8")]


def test_a_run_folder_that_cannot_be_read_is_named_and_the_rest_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, study(["mdreid"], seeds=(0,)))
    closed = put(tmp_path, study(["single-classifier"], seeds=(0,)))[0].parents[1]
    original = Path.iterdir

    def iterdir(self: Path) -> Iterator[Path]:
        if self == closed:
            raise PermissionError(13, "Permission denied", str(self))
        return original(self)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    done = report(tmp_path, "--suite", "missing", "--no-published")
    assert done.exit_code == 1
    assert f"Warning: {closed} cannot be read (Permission denied); it is skipped." in done.stderr
    assert "single-classifier" not in done.stdout
    assert "MDReID" in done.stdout


def test_re_ranked_records_are_files_and_tables_of_their_own(tmp_path: Path) -> None:
    put(tmp_path, study(["mdreid"], suites=["paper-matched"], seeds=(0,)))
    put(tmp_path, study(["mdreid"], suites=["paper-matched"], seeds=(1,), rerank="20-6-0.3"))
    done = report(tmp_path, "--no-published")
    assert done.exit_code == 0
    titles = [line for line in done.stdout.splitlines() if line.startswith("Matched: all three sensors")]
    assert [title.partition("RGBNT201 ")[2] for title in titles] == [
        "(synthetic)",
        "(synthetic, re-ranked k1=20, k2=6, lambda=0.3)",
    ]
    assert "±" not in done.stdout


def test_with_bad_records_alone_there_is_nothing_to_report(tmp_path: Path) -> None:
    (path,) = put(tmp_path, study(["mdreid"], suites=["paper-matched"], seeds=(0,)))
    path.write_text("{", encoding="utf-8")
    done = report(tmp_path)
    assert done.exit_code == 3
    assert "Warning: " in done.stderr


def test_a_folder_that_cannot_be_written(results: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    done = report(results, "--latex", "--out", str(tmp_path / "file" / "out"))
    assert done.exit_code == 3
    assert "Cannot write" in done.stderr


def test_of_many_bad_records_the_first_are_named_and_all_are_counted(tmp_path: Path) -> None:
    paths = sorted(put(tmp_path, study(["mdreid"], suites=["all"], seeds=(0,))))
    for path in paths[:15]:
        path.write_text("{", encoding="utf-8")
    done = report(tmp_path)
    assert done.exit_code == 1
    warnings = [line for line in done.stderr.splitlines() if line.startswith("Warning: ")]
    assert [str(path) in line for path, line in zip(paths, warnings[:-1], strict=False)] == [True] * 10
    assert warnings[-1] == "Warning: 5 more records must not be believed; they are skipped too."


def test_metric_digits_and_sides_are_those_that_were_asked_for(results: Path, tmp_path: Path) -> None:
    asked = ("--suite", "missing", "--dataset", "msvr310", "--no-published")
    shape = ("--metric", "rank5", "--digits", "2", "--transpose")
    done = report(results, *asked, *shape)
    assert done.exit_code == 0, done.stderr
    record = next(
        r
        for _, r in Store(results).records()
        if not isinstance(r, str) and (r.dataset, r.method, r.protocol) == ("msvr310", "mdreid", "R-to-R")
    )
    line = next(line for line in done.stdout.splitlines() if line.startswith("R-to-R Rank-5"))
    assert line.split()[2] == f"{100 * record.metrics.rank5:.2f}"
    assert "mAP" not in done.stdout
    for form in ("--latex", "--markdown"):
        assert report(results, *asked, *shape, form, "--out", str(tmp_path / form)).exit_code == 0
        text = "".join(path.read_text(encoding="utf-8") for path in (tmp_path / form).rglob("*") if path.is_file())
        assert f"{100 * record.metrics.rank5:.2f}" in text


def test_every_table_can_have_another_metric(tmp_path: Path) -> None:
    """Those of the paper, the overview, what was trained on another dataset, and the ablation."""
    put(tmp_path, study(["mdreid", "editor"], suites=["all"], seeds=(0, 1)))
    put(tmp_path, study(["mdreid"], ["msvr310"], ["paper-matched"], seeds=(0,), sources=("rgbnt201",)))
    put(tmp_path, ablation(seeds=(0,)))
    for suites in ((), ("--suite", "overview", "--suite", "transfer", "--suite", "matched")):
        done = report(tmp_path, "--metric", "mINP", "--no-published", *suites)
        assert done.exit_code == 0, done.stderr
        assert "mINP" in done.stdout
        assert not re.search(r"mAP|Rank-", done.stdout)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--digits", "x"), "--digits takes a whole number from 0 to 6, not 'x'"),
        (("--digits", "9"), "--digits takes a whole number from 0 to 6, not '9'"),
        (("--metric", "map5"), "Unknown metric 'map5'"),
    ],
)
def test_misused_shapes_are_named(results: Path, arguments: tuple[str, ...], message: str) -> None:
    done = report(results, *arguments)
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1)
    assert message in done.stderr
