"""CMC curves, heat maps and sweeps as pictures."""

import math
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mdreid_bench.errors import DataError
from mdreid_bench.report.figures.cmc import chance_cmc, curve_figure, drawn_protocols, expected_cmc
from mdreid_bench.report.figures.drawing import save_files
from mdreid_bench.report.figures.tables import heat_map, sweep_curve
from mdreid_bench.report.groups import group_records
from mdreid_bench.report.table import Cell, Column, Missing, Number, Table
from protocols.modality import RNT, Modality
from tests.report.fakes import cell
from tests.report.samples import shaded_table
from tests.results.factory import query_values


def words(svg: str) -> str:
    """Return the text of a drawing; fails when it is not well-formed."""
    return " ".join(
        "".join(element.itertext()) for element in ET.fromstring(svg).iter() if element.tag.endswith("text")
    )


def test_cmc_by_hand() -> None:
    ranks = np.array([1.0, 3.0, 2.5, np.nan, 9.0])
    assert expected_cmc(ranks, 5).tolist() == [0.25, 0.25, 0.75, 0.75, 0.75]


def test_the_chance_of_a_hit_is_that_of_drawing_without_putting_back() -> None:
    items, positives = np.array([6, 5, 4]), np.array([2, 1, 0])
    literal = [np.mean([1 - math.comb(v - p, k) / math.comb(v, k) for v, p in ((6, 2), (5, 1))]) for k in range(1, 5)]
    assert chance_cmc(positives, items, 4) == pytest.approx(literal)
    assert chance_cmc(positives, items, 9)[-1] == 1.0
    assert np.isnan(chance_cmc(positives[2:], items[2:], 3)).all()


def test_cmc_without_a_query_is_not_a_number() -> None:
    assert np.isnan(expected_cmc(np.array([np.nan]), 2)).all()


def test_a_figure_has_a_panel_for_each_protocol_with_values(tmp_path: Path) -> None:
    names = ("RNT-to-RNT", "R-to-N")
    stored = {"per_query": "x.npz", "per_query_digest": query_values(4).write(tmp_path / "x.npz")}
    records = [cell("msvr310", "mdreid", seed, name, **stored) for name in names for seed in (0, 1)]
    (group,) = group_records([*records, cell("msvr310", "mdreid", 0, "RT-to-N")])
    figure = curve_figure(group, lambda record: tmp_path / "x.json")
    assert figure is not None
    assert "synthetic" in figure.title
    shown = words(figure.svg)
    assert [name for name in (*names, "RT-to-N") if name in shown] == list(names)
    assert "chance" in shown


def test_datasets_with_other_sensors_have_curves_of_their_own_protocols() -> None:
    assert list(map(str, drawn_protocols(Modality.R | Modality.T))) == ["RT-to-RT", "R-to-T", "T-to-R"]
    assert drawn_protocols(Modality(0)) == ()
    assert drawn_protocols(RNT) == drawn_protocols(RNT | Modality.D)
    assert len(drawn_protocols(RNT)) == 5


def test_lost_values_are_named_and_the_rest_is_drawn(tmp_path: Path) -> None:
    digest = query_values(4).write(tmp_path / "mdreid.npz")
    names = ("mdreid", "editor", "top-reid")
    stored = {name: {"per_query": f"{name}.npz", "per_query_digest": digest} for name in names}
    (group,) = group_records([cell("msvr310", name, 0, "R-to-N", **stored[name]) for name in names])
    query_values(5).write(tmp_path / "top-reid.npz")
    figure = curve_figure(group, lambda record: tmp_path / f"{record.method}.json")
    assert figure is not None
    lost = [note for note in figure.notes if "is not drawn" in note]
    assert [note.partition(str(tmp_path))[0] for note in lost] == [
        "EDITOR, R-to-N is not drawn: There are no per-query values at ",
        "TOP-ReID, R-to-N is not drawn: The per-query values ",
    ]
    assert "are not those of the record beside them" in lost[1]


def test_without_values_there_is_no_figure() -> None:
    (group,) = group_records([cell("msvr310", "mdreid", 0, "R-to-N")])

    def never(record: object) -> Path:
        raise DataError("should not be asked")

    assert curve_figure(group, never) is None


def test_a_heat_map_is_the_same_each_time_and_shows_its_numbers(tmp_path: Path) -> None:
    files = [save_files(heat_map(shaded_table()), tmp_path / name) for name in ("a", "b")]
    assert [file.name for file in files[0]] == ["a.svg", "a.png"]
    for first, second in zip(*files, strict=True):
        assert first.read_bytes() == second.read_bytes()
    shown = words(files[0][0].read_text(encoding="utf-8"))
    for part in ("80.0", "12.3", "100.0", "gallery", "query", "Heat map of mdreid (mAP), msvr310"):
        assert part in shown
    with Image.open(files[0][1]) as image:
        assert min(image.size) > 800


def test_a_heat_map_of_many_subsets_is_larger() -> None:
    columns = (Column("query"), *(Column(f"g{i}", "gallery", numeric=True) for i in range(15)))
    rows: tuple[tuple[Cell, ...], ...] = tuple((f"q{i}", *[Number(50.0)] * 15) for i in range(15))
    large, small = heat_map(Table("t", columns, rows)), heat_map(shaded_table())
    assert large.get_figheight() / 15 == pytest.approx(small.get_figheight() / 7)


@pytest.mark.parametrize("published", [True, False])
def test_a_sweep_draws_ours_and_the_published_figures(tmp_path: Path, published: bool) -> None:
    titles = ("ours", "difference", *(["published"] if published else []))
    columns = (Column("method"), *(Column(title, "mAP", numeric=True) for title in titles))
    printed = [Number(30.0)] if published else []
    rows: tuple[tuple[Cell, ...], ...] = (
        ("w1 = 0", Number(40.0, spread=1.0), Missing("no"), *printed),
        ("w1 = 1", Number(41.0), Number(1.0), *printed),
        ("chance", Number(3.0), Missing("no"), *printed),
    )
    svg, _ = save_files(sweep_curve(Table("Weight $w_1$", columns, rows, curve=(0.0, 1.0))), tmp_path / "sweep")
    shown = words(svg.read_text(encoding="utf-8"))
    assert "Weight $w_1$" in shown
    assert "mAP ours" in shown
    assert ("mAP published" in shown) == published
    assert "difference" not in shown
