"""The data of the page: every number with its records, what makes it again, and how large it is."""

import base64
import hashlib
import json
import re
import shlex
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from mdreid_bench.report.groups import group_records
from mdreid_bench.report.page.again import form_arguments, run_command
from mdreid_bench.report.page.records import Measurements
from mdreid_bench.results.published import figures
from mdreid_bench.results.run_facts import GivenWeights, RunFacts
from mdreid_bench.results.schema import CorruptedImages, Record, SharedFields
from mdreid_bench.results.storage.place import write_sealed
from mdreid_bench.results.store import RunFolder
from protocols.corruption import Corruption
from tests.report.fakes import ablation, page_of, study
from tests.report.test_transfer import FIGURES
from tests.report.test_transfer import records as transferred
from tests.results.factory import make_record

SCRIPT = re.compile(r"<script(?P<form>[^>]*)>(?P<text>.*?)</script>", re.DOTALL)
METHODS, DATASETS = (
    ("mdreid", "top-reid", "editor", "single-classifier", "random"),
    ("rgbnt201", "rgbnt100", "msvr310"),
)


@cache
def many() -> list[Record]:
    """2,205 records: five methods on three datasets under 49 protocols with three seeds."""
    return list(study(METHODS, DATASETS, ["all"], (1, 2, 3)))


@cache
def large_page() -> str:
    """Return the page of :func:`many`."""
    return page_of(many(), figures=figures())


def data_of(page: str) -> Any:
    return json.loads(next(found["text"] for found in SCRIPT.finditer(page) if 'id="data"' in found["form"]))


def test_the_page_of_2205_records_is_small_and_asks_for_nothing_from_outside() -> None:
    page = large_page()
    assert len(data_of(page)["records"]) == 2205
    assert len(page.encode()) < 3_000_000
    assert not re.search(r"""(src|href)=["']?(https?:)?//""", SCRIPT.sub("", page))
    scripts = [found["text"] for found in SCRIPT.finditer(page) if not found["form"]]
    allowed = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    policy = " ".join(f"'sha256-{one}'" for one in allowed)
    assert f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src {policy}\"" in page
    assert "Permission is hereby granted" in page  # the licence of the library goes with it


def test_a_record_stands_once_with_all_that_it_came_from() -> None:
    records = list(study(seeds=(1, 2), trunk="a trunk", config_overrides={"batch": {"size": 8}}))
    content = data_of(page_of(records))
    assert len(content["records"]) == len(records)
    first, found = records[0], content["records"][0]
    run, method = content["runs"][found["run"]], content["methods"][found["method"]]
    assert found["metrics"][:2] == [100 * first.metrics.mAP, 100 * first.metrics.rank1]
    assert f"runs/{run['folder']}/{found['file']}" == f"runs/{first.folder_name}/full/{first.protocol}.json"
    assert (method["label"], method["trunk"], run["seed"]) == ("MDReID", "a trunk", 1)
    assert content["texts"][found["counts"]] == "591 queries of 52 identities, 1055 gallery items"
    assert "commit 0123456789" in content["texts"][found["code"]]
    assert run["command"] == ("mdreid-bench run --dataset rgbnt201 --method mdreid --preset tiny --set batch.size=8")
    (grid,) = [table for table in content["sections"][0]["tables"] if "Matched" in table["title"]]
    (cell,) = [row[1] for row in grid["rows"] if row[0] == "MDReID"]
    shown = [content["records"][place] for place in cell["records"]]
    assert {content["runs"][one["run"]]["seed"] for one in shown} == {1, 2}
    assert {one["protocol"] for one in shown} == {"RNT-to-RNT"}


def test_given_weights_are_named_and_what_a_run_cost_is_read_beside_it(tmp_path: Path) -> None:
    (record,) = study(["mdreid"], suites=["paper-matched"], seeds=(1,))
    folder = RunFolder(tmp_path / record.folder_name)
    shared = SharedFields.model_validate({name: getattr(record, name) for name in SharedFields.model_fields})
    given = GivenWeights(path="/elsewhere/released.pth", digest="d" * 64)
    RunFacts(
        shared=shared, identities=2, cameras=2, sensors="RNT", training=None, weights=given, config="c" * 64
    ).write(folder.facts)
    write_sealed(folder.cost, {"parameters": 57_200_000, "multiply_adds": 22_300_000_000})
    (run,) = Measurements(group_records([record]), lambda _: folder.path).content()["runs"]
    assert run["command"].endswith("--preset tiny --weights released.pth")
    assert run["cost"] == [57.2, 22.3]


def test_newer_records_replace_older_ones_and_ablated_variants_stand_aside() -> None:
    content = data_of(page_of([*ablation(seeds=(1,)), *ablation(seeds=(1,))]))
    aside = {method["label"]: method["aside"] for method in content["methods"]}
    assert list(aside.values()).count(False) == 2
    assert sum(aside.values()) == 3
    assert {method["superseded"] for method in content["methods"]} == {6}
    assert len(content["records"]) == 5 * 6


def test_published_figures_are_rows_of_their_own_with_their_sources() -> None:
    content = data_of(page_of(study(["mdreid", "top-reid"]), figures=figures()))
    row = next(row for row in content["published"] if row["key"] == "mdreid")
    assert row["values"]["RNT-to-RNT|mAP"][0] == "82.1"
    assert "MDReID Table 1a" in row["where"]
    assert any("arXiv 2510.23301" in source for source in row["sources"])
    printed = next(
        row["values"]["average:paper-mismatched|mAP"] for row in content["published"] if row["key"] == "topreid"
    )
    assert printed[0] == "18.2"
    assert "that mean is" in printed[1]
    (carried,) = [row for row in data_of(page_of(transferred(), figures=FIGURES))["published"] if "31.2" in str(row)]
    assert carried["values"]["RNT-to-RNT|mAP"][0] == "31.25"
    assert data_of(page_of(study()))["published"] == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"sources": ("rgbnt100", "rgbnt201")}, "--source rgbnt100 --source rgbnt201"),
        ({"limit": 60}, "--limit 60"),
        ({"precision": "bf16"}, "--precision bf16"),
        (
            {"precision": "bf16", "config_overrides": {"evaluation": {"precision": "bf16"}}},
            "--set evaluation.precision=bf16",
        ),
        ({"data_findings": {"missing file": 3}}, "--allow-incomplete"),
        (
            {"config_overrides": {"options": {"rol": "a b", "flag": True}}},
            "--set options.flag=true --set 'options.rol=a b'",
        ),
    ],
)
def test_the_command_names_what_is_not_usual(changes: dict[str, Any], words: str) -> None:
    assert (
        run_command(make_record(**changes))
        == f"mdreid-bench run --dataset msvr310 --method mdreid --preset tiny {words}"
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, ""),
        ({"average_precision": "trapezoid", "rerank": "20-6-0.3"}, "--average-precision trapezoid --rerank 20,6,0.3"),
        (
            {"corruption": Corruption("random", "query", "R", True, seed=4, repetition=2)},
            "--corrupt random --corrupt-side query --corrupt-sensors R --corrupt-draw correlated "
            "--corrupt-repetitions 3 --corrupt-seed 4",
        ),
        ({"corruption": Corruption("random", sensors="R", published="RegDB-C")}, "--corrupt RegDB-C"),
    ],
)
def test_the_form_of_a_result_is_asked_for_again(changes: dict[str, Any], words: str) -> None:
    if "corruption" in changes:
        changes = {"corruption": CorruptedImages.of(changes["corruption"])}
    assert shlex.split(form_arguments(make_record(**changes))) == words.split()
