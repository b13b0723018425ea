"""``mdreid-bench compare``."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from mdreid_bench.config.schema import Precision
from mdreid_bench.evaluation.cells import CellScorer
from mdreid_bench.results import published
from mdreid_bench.results.store import load_record
from protocols.protocol import Protocol
from tests.cli.conftest import Trained
from tests.cli.running import Outcome, environment, in_process
from tests.evaluation.stored import store
from tests.report.fakes import FULL

A, B = "msvr310-mdreid-tiny-s1", "msvr310-single-classifier-tiny-s1"


def test_json_is_the_difference_of_the_records(trained: Trained) -> None:
    done = trained.call("compare", A, B, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    folders = trained.folder("mdreid"), trained.folder("single-classifier")
    assert [found["a"], found["b"]] == [[folder.name] for folder in folders]
    assert [entry["protocol"] for entry in found["comparisons"]] == ["R-to-NT", "RNT-to-RNT"]
    for entry in found["comparisons"]:
        a, b = (load_record(folder / "full" / f"{entry['protocol']}.json").metrics for folder in folders)
        assert entry["seeds"] == [[1, 1]]
        for metric in ("mAP", "rank1"):
            values = entry[metric]
            assert (values["a"], values["b"]) == pytest.approx((getattr(a, metric), getattr(b, metric)))
            assert values["difference"] == pytest.approx(values["a"] - values["b"])
            assert values["low"] <= values["difference"] <= values["high"]


def test_the_table_has_a_row_for_each_protocol(trained: Trained) -> None:
    done = trained.call("compare", A, B)
    assert done.returncode == 0
    entry = json.loads(trained.call("compare", A, B, "--json").stdout)["comparisons"][0]["mAP"]
    line = next(line for line in done.stdout.splitlines() if line.startswith("R-to-NT"))
    shown = [f"{100 * entry[name]:.1f}" for name in ("a", "b", "difference", "low", "high")]
    assert line.replace("[", "").replace("]", "").replace(",", "").split()[2:7] == shown
    assert "paired bootstrap" in " ".join(done.stdout.split())


def test_records_can_be_named_by_their_paths(trained: Trained) -> None:
    paths = [str(trained.folder(m) / "full" / "R-to-NT.json") for m in ("mdreid", "single-classifier")]
    found = json.loads(trained.call("compare", *paths, "--json").stdout)
    assert found["comparisons"] == json.loads(trained.call("compare", A, B, "--json").stdout)["comparisons"][:1]


def test_all_seeds_of_a_configuration_are_one_side(trained: Trained) -> None:
    """One configuration against itself: a row for each seed, then one for their mean."""
    found = json.loads(trained.call("compare", "msvr310-mdreid", "msvr310-mdreid", "--json").stdout)
    seeds = [entry["seeds"] for entry in found["comparisons"] if entry["protocol"] == "R-to-NT"]
    assert seeds == [[[1, 1]], [[2, 2]], [[1, 1], [2, 2]]]
    assert "mean of 2" in trained.call("compare", "msvr310-mdreid", "msvr310-mdreid").stdout
    single = json.loads(trained.call("compare", "msvr310-mdreid", B, "--json").stdout)
    assert [entry["seeds"] for entry in single["comparisons"]] == [[[1, 1]], [[1, 1]]]


def test_two_seeds_are_compared_when_each_is_named(trained: Trained) -> None:
    found = json.loads(trained.call("compare", A, "msvr310-mdreid-tiny-s2", "--json").stdout)
    assert [entry["seeds"] for entry in found["comparisons"]] == [[[1, 2]], [[1, 2]]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((A, "msvr310-singel"), "Unknown run"),
        ((A, "msvr310"), "give more of its name or key"),
        (
            (A, B, "--protocol", "T-to-T"),
            "no record under T-to-T; make it with 'mdreid-bench score --run msvr310-mdreid",
        ),
        ((A, B, "--average-precision", "trapezoid"), "no protocol in common"),
        (("msvr310-mdreid-tiny-s2", "msvr310-mdreid", "--protocol", "R-to-"), "Unknown protocol"),
    ],
)
def test_mistakes_are_one_sentence(trained: Trained, arguments: tuple[str, ...], message: str) -> None:
    done = trained.call("compare", *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


def invented(
    results: Path, method: str, seeds: tuple[int, ...], precision: Precision = "fp32", **changes: Any
) -> None:
    """Store and score runs of one configuration on random embeddings."""
    for seed in seeds:
        key = f"{seed:x}" + sha256(f"{method}{changes}".encode()).hexdigest()[1:]
        stored = store(results, seed, method=method, seed=seed, run_key=key, config_key=key[1:], **changes)
        table = replace(stored.table, precision=precision)
        CellScorer(stored.facts, stored.scope)(table, Protocol.parse("R-to-NT"))


def compared(results: Path, *sides: str) -> Outcome:
    return in_process("compare", *sides, "--results", str(results), env=environment())


def test_several_seeds_are_compared_where_both_sides_have_them(tmp_path: Path) -> None:
    invented(tmp_path, "mdreid", (1, 2, 3))
    invented(tmp_path, "editor", (2, 3, 4))
    done = compared(tmp_path, "msvr310-mdreid", "msvr310-editor", "--json")
    assert done.returncode == 0, done.stderr
    seeds = [entry["seeds"] for entry in json.loads(done.stdout)["comparisons"]]
    assert seeds == [[[2, 2]], [[3, 3]], [[2, 2], [3, 3]]]


def test_seeds_that_do_not_meet_are_refused(tmp_path: Path) -> None:
    invented(tmp_path, "mdreid", (1, 2))
    invented(tmp_path, "editor", (3, 4))
    done = compared(tmp_path, "msvr310-mdreid", "msvr310-editor")
    assert done.returncode == 2
    assert "share no seed under R-to-NT (seeds 1, 2; seeds 3, 4); name single runs instead" in done.stderr


def test_embeddings_of_another_precision_are_marked_and_no_side_has_both(tmp_path: Path) -> None:
    invented(tmp_path, "mdreid", (0,))
    invented(tmp_path, "editor", (0,), precision="bf16")
    done = compared(tmp_path, "msvr310-mdreid", "msvr310-editor")
    assert done.returncode == 0, done.stderr
    assert "(embeddings in bf16)" in " ".join(done.stdout.partition("B: ")[2].split())
    assert "bf16" not in done.stdout.partition("B: ")[0]
    invented(tmp_path, "mdreid", (1,), precision="bf16")
    assert compared(tmp_path, "msvr310-mdreid", "msvr310-editor").returncode == 2


def test_records_that_cannot_be_listed_are_not_passed_over(trained: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    closed, original = trained.folder("mdreid", 2) / "full", Path.iterdir

    def iterdir(self: Path) -> Iterator[Path]:
        if self == closed:
            raise PermissionError(13, "Permission denied", str(self))
        return original(self)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    done = trained.call("compare", "msvr310-mdreid", "msvr310-mdreid")
    assert (done.returncode, f"Cannot use {closed}: Permission denied" in done.stderr) == (3, True)


def test_other_test_data_are_refused(tmp_path: Path) -> None:
    invented(tmp_path, "mdreid", (1,))
    invented(tmp_path, "editor", (1,), test_fingerprint="d" * 12)
    done = compared(tmp_path, "msvr310-mdreid", "msvr310-editor")
    assert done.returncode == 2
    assert "different test data (fingerprints bbbbbbbbbb and dddddddddd)" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three methods with seeds 1 and 2 and one that is not trained, on the data set that is published."""
    root = tmp_path_factory.mktemp("several")
    for method in ("mdreid", "editor", "top-reid"):
        invented(root, method, (1, 2), data_kind="real")
    invented(root, "random", (1,), data_kind="real", selection="none", train_fingerprint=None)
    return root


def test_all_pairs_of_what_a_beginning_means(several: Path) -> None:
    done = compared(several, "msvr310-", "--json")
    assert done.returncode == 0, done.stderr
    (found,) = json.loads(done.stdout)["standings"]
    assert (found["protocol"], found["metric"], len(found["pairs"])) == ("R-to-NT", "mAP", 6)
    assert all(0 < pair["p"] <= pair["p_holm"] <= 1 for pair in found["pairs"])
    means = {method["method"]: method["mean"] for method in found["methods"]}
    records = [load_record(path) for path in several.glob("runs/msvr310-mdreid-*/full/*.json")]
    assert means["MDReID"] == pytest.approx(sum(record.metrics.mAP for record in records) / 2)
    shown = compared(several, "msvr310-")
    best = max(found["methods"], key=lambda method: method["mean"])
    line = next(line for line in shown.stdout.splitlines() if line.startswith(best["method"]))
    assert line.split()[-1] == best["letters"] == "a"
    text = " ".join(shown.stdout.split())
    assert "share a letter cannot be told apart" in text
    assert "p has the luck of training in it" in text
    assert "not trained by this suite" in text


def test_equal_calls_give_equal_digits_and_several_metrics_several_tables(several: Path) -> None:
    arguments = ("msvr310-mdreid", "msvr310-editor", "msvr310-top", "--metric", "rank1", "--metric", "MAP", "--json")
    first = json.loads(compared(several, *arguments).stdout)
    assert first == json.loads(compared(several, *arguments).stdout)
    assert [one["metric"] for one in first["standings"]] == ["rank1", "mAP"]


def test_letters_go_into_latex(several: Path, tmp_path: Path) -> None:
    done = compared(several, "msvr310-", "--latex", "--label", "tab:pairs", "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    written = {Path(line) for line in done.stdout.splitlines()}
    assert written == {path for path in tmp_path.rglob("*") if path.is_file()}
    text = (tmp_path / "latex" / "comparison-map-and-what-can-be-told-apart-msvr310.tex").read_text(encoding="utf-8")
    assert re.search(r"MDReID & \S+\\,\{\\scriptsize \$\\pm\$ [0-9.]+ a\} \\tabularnewline", text)
    assert compared(several, A.replace("-tiny-s1", ""), "msvr310-editor", "--latex").returncode == 0
    assert (several / "comparison" / "main.tex").is_file()


def test_published_figures_are_set_against_our_intervals(several: Path) -> None:
    done = compared(several, "msvr310-mdreid", "--published")
    assert done.returncode == 0, done.stderr
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("MDReID") and "Table 3" in line]
    figure = next(
        f.value
        for f in published.figures()
        if (f.paper, f.dataset, f.protocol, f.metric, f.method) == ("MDReID", "msvr310", "R-to-NT", "mAP", "MDReID")
    )
    (found,) = json.loads(compared(several, "msvr310-mdreid", "--published", "--json").stdout)["standings"]
    low, high = (100 * found["methods"][0][end] for end in ("low", "high"))
    assert f"[{low:.1f}, {high:.1f}]" in line
    assert str(figure) in line
    assert ("below" if figure < low - 0.05 else "above" if figure > high + 0.05 else "inside") in line


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("msvr310-mdreid",), 2, "means one method alone; name another"),
        (("msvr310-", "--protocol", "T-to-T"), 2, "has no record under T-to-T; make it with"),
        (("msvr310-", "--metric", "map5"), 2, "Unknown metric 'map5'"),
        (("msvr310-", "--rerank", "20,6,0.3"), 3, "There is nothing to compare of msvr310-"),
        (("msvr310-", "--caption", "x"), 2, "--caption goes with --latex"),
        (("msvr311-",), 2, "Unknown run"),
    ],
)
def test_misuses_of_many_are_one_sentence(several: Path, arguments: tuple[str, ...], code: int, message: str) -> None:
    done = compared(several, *arguments)
    assert done.returncode == code
    errors = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    assert len(errors) == 1
    assert message in errors[0]


def test_synthetic_data_are_never_set_against_published_figures(tmp_path: Path) -> None:
    invented(tmp_path, "mdreid", (1,))
    done = compared(tmp_path, "msvr310-mdreid", "--published")
    assert (done.returncode, "these are synthetic" in done.stderr) == (2, True)


def test_runs_on_several_datasets_are_refused_and_one_without_records_is_named(tmp_path: Path) -> None:
    invented(tmp_path, "mdreid", (1,))
    invented(tmp_path, "mdreid", (2,), dataset="rgbnt201")
    done = compared(tmp_path, "msvr310-", "rgbnt201-", "--metric", "mAP")
    assert done.returncode == 2
    assert "means runs on msvr310, rgbnt201; name those of one, such as msvr310-" in done.stderr
    (tmp_path / "runs" / "msvr310-editor-tiny-s1-0123456789").mkdir()
    assert "msvr310-editor-tiny-s1-0123456789 has no record" in compared(tmp_path, "msvr310-").stderr


def test_ablated_variants_stand_aside_unless_they_are_named(tmp_path: Path) -> None:
    for weight in (5.25, 0.0):
        invented(tmp_path, "mdreid", (1,), options=FULL | {"discrepancy_weight": weight})
    invented(tmp_path, "editor", (1,))
    done = compared(tmp_path, "msvr310-", "--json")
    assert "1 run of ablated variants left out; name them by their keys" in done.stderr
    assert len(json.loads(done.stdout)["standings"][0]["methods"]) == 2
    keys = [path.name.rpartition("-")[2] for path in (tmp_path / "runs").iterdir()]
    named = json.loads(compared(tmp_path, *keys, "--json").stdout)
    assert len(named["standings"][0]["methods"]) == 3


def test_the_letters_of_a_report_are_those_of_the_comparison(several: Path) -> None:
    (found,) = json.loads(compared(several, "msvr310-", "--json").stdout)["standings"]
    asked = ("report", "--letters", "--no-published", "--metric", "mAP", "--results", str(several))
    done = in_process(*asked, "--suite", "paper-mismatched", env=environment())
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    for method in found["methods"]:
        (line,) = (line for line in lines if line.startswith(f"{method['method']}  "))
        assert line.split()[-1] == method["letters"]
    assert "of the seeds that all methods have: paired randomisation test" in " ".join(done.stdout.split())
    grid = in_process(*asked, "--suite", "all", env=environment())
    assert grid.returncode in (0, 3)
    assert "share a letter" not in grid.stdout
