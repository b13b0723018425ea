"""Corrupted images beside clean ones: the table, its losses, the curves by level, published figures."""

from pathlib import Path
from typing import Any

import pytest

from mdreid_bench.report.corruption import FIRST_DRAW, corruption_tables, group_tables
from mdreid_bench.report.figures.tables import sweep_curve
from mdreid_bench.report.groups import group_records
from mdreid_bench.report.render.markdown import render_markdown
from mdreid_bench.report.sections import Contents
from mdreid_bench.report.table import Missing, Number, Table
from mdreid_bench.results.published import figures
from mdreid_bench.results.schema import CorruptedImages, Counts, Record
from protocols.corruption import Corruption
from tests.results.factory import make_record, metrics

GOLDEN = Path(__file__).parent / "golden" / "corruption.md"
OTHER: dict[str, Any] = {"method": "single-classifier", "config_key": "d" * 64}


def corrupted(mean_ap: float, name: str, rank1: float = 0.25, seed: int = 0, **more: Any) -> Record:
    spec: dict[str, Any] = {
        key: more.pop(key) for key in ("side", "sensors", "correlated", "repetition", "published") if key in more
    }
    made = CorruptedImages.of(Corruption(name, **spec))
    return make_record(metrics=metrics(mean_ap, rank1), corruption=made, seed=seed, **more)


def number(table: Table, row: int, heading: str) -> Number:
    cell = table.rows[row][[column.heading for column in table.columns].index(heading)]
    assert isinstance(cell, Number)
    return cell


def sample() -> list[Record]:
    records = [make_record(), make_record(seed=1, metrics=metrics(0.5)), make_record(**OTHER, metrics=metrics(0.3))]
    for seed, shift in ((0, 0.0), (1, 0.1)):
        records += [corrupted(0.2 + shift + 0.02 * n, "random", seed=seed, repetition=n) for n in range(2)]
    records += [corrupted(0.35, "fog-3"), corrupted(0.25, "fog-5"), corrupted(0.30, "snow-3")]
    records += [corrupted(0.38, "jpeg_compression-3", side="query"), corrupted(0.1, "random", **OTHER)]
    return records


def test_no_corrupted_records_no_table() -> None:
    assert corruption_tables([]) == []
    assert corruption_tables([make_record()]) == []
    assert corruption_tables([corrupted(0.2, "random")]) == []  # nothing to compare it with


def test_clean_and_corrupted_stand_side_by_side_with_the_loss() -> None:
    table = corruption_tables(sample())[0]
    assert [row[:4] for row in table.rows] == [
        ("R-to-NT", "MDReID", "random", "both sides"),
        ("R-to-NT", "MDReID", "weather: 2 types, levels 3/5", "both sides"),
        ("R-to-NT", "MDReID", "digital: jpeg_compression-3", "queries"),
        ("R-to-NT", "Single classifier", "random", "both sides"),
    ]
    assert number(table, 0, "mAP clean").value == pytest.approx(45)  # seeds 0 and 1
    assert number(table, 0, "mAP corrupted").value == pytest.approx((20 + 22 + 30 + 32) / 4)
    assert number(table, 0, "mAP corrupted").spread == pytest.approx(5.887841)  # squares sum to 104; sqrt(104 / 3)
    assert number(table, 0, "mAP loss").value == pytest.approx(19)
    assert number(table, 1, "mAP clean").value == pytest.approx(40)  # seed 0 alone has it
    assert number(table, 1, "mAP corrupted").value == pytest.approx(30)
    assert number(table, 1, "mAP corrupted").spread is None
    assert number(table, 1, "Rank-1 loss").value == pytest.approx(25)
    assert number(table, 2, "mINP loss").value == pytest.approx(1)


def test_the_table_looks_as_it_did() -> None:
    assert "\n".join(map(render_markdown, corruption_tables(sample()))) == GOLDEN.read_text(encoding="utf-8")


def test_levels_of_a_family_are_a_curve_from_the_clean_figure_on() -> None:
    (curve,) = corruption_tables(sample())[1:]
    assert curve.title == "mAP by level of corruption, MDReID, R-to-NT, both sides, MSVR310 (synthetic)"
    assert [row[0] for row in curve.rows] == ["clean", "3", "5"]
    assert curve.curve == (0, 3, 5)
    assert [number(curve, row, "weather: 2 types").value for row in range(3)] == pytest.approx(
        [40, (35 + 30) / 2, 25]
    )
    (axis,) = sweep_curve(curve).axes
    assert axis.get_xlabel() == "level"


def test_repetitions_with_another_draw_or_other_images_are_rows_of_their_own() -> None:
    records = [make_record(), corrupted(0.2, "random"), corrupted(0.3, "random", correlated=True)]
    records += [corrupted(0.1, "random", sensors="R"), corrupted(0.15, "random", side="gallery")]
    table = corruption_tables(records)[0]
    assert [row[3] for row in table.rows] == [
        "both sides",
        "both sides, correlated",
        "both sides, R alone",
        "gallery",
    ]


def test_a_record_made_again_replaces_the_older_one() -> None:
    older = corrupted(0.2, "random")
    created = older.provenance.created.replace(year=2027)
    newer = corrupted(0.3, "random", provenance=older.provenance.model_copy(update={"created": created}))
    table = corruption_tables([make_record(), newer, older])[0]
    assert number(table, 0, "mAP corrupted").value == pytest.approx(30)
    assert number(table, 0, "mAP corrupted").spread is None


def test_published_figures_of_the_same_corrupted_set_stand_beside() -> None:
    own: dict[str, Any] = {"dataset": "regdb", "method": "mdreid", "protocol": "R-to-T"}
    counts = Counts(
        queries=2060, queries_without_positive=0, gallery=2060, identities=206, tied_positives=0, trials=10
    )
    spec: dict[str, Any] = {"sensors": "R", "published": "RegDB-C"}
    records = [make_record(**own, counts=counts), corrupted(0.2, "random", **spec, **own)]
    (group,) = group_records(records)
    table = group_tables(group, figures())[0]
    assert table.rows[0][:4] == ("R-to-T", "MDReID", "random", "RegDB-C")
    assert isinstance(table.rows[0][7], Missing)
    (row,) = [i for i, row in enumerate(table.rows) if row[1] == "MUN"]
    assert number(table, row, "mAP published").text == "50.18"
    assert number(table, row, "Rank-1 published").text == "52.69"
    assert "the paper does not say which direction" in number(table, row, "mAP published").note
    assert "mAP corrupted (synthetic)" in [column.heading for column in table.columns]
    assert not any("41.17" in str(cell) for row in table.rows for cell in row)  # those of SYSU-MM01-C
    assert table.rows[0][6] == Missing(FIRST_DRAW)  # ten trials against one
    assert not [c for c in group_tables(group)[0].columns if c.title == "published"]


def test_corrupted_records_stand_in_no_other_table() -> None:
    (group,) = group_records(sample())
    assert len(group.records) == 3
    sections = Contents([group], (), (), lambda _: Path("none")).sections(())
    assert [section.name for section in sections] == ["paper-mismatched", "cost", "corruption"]
    assert sections[-1].title == "Corrupted test images"
    shown = " ".join(str(cell) for section in sections[:-1] for table in section.tables for cell in table.rows)
    assert "corrupt" not in shown
