"""Tables and pictures of how alike the parts of an item are."""

import base64
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from mdreid_bench.progress import Silent
from mdreid_bench.report.decoupling import decoupling_tables
from mdreid_bench.report.figures.tables import matrices
from mdreid_bench.report.files import write_report
from mdreid_bench.report.groups import group_records
from mdreid_bench.report.sections import Contents
from mdreid_bench.report.table import Number, Table
from mdreid_bench.results.decoupling import PartSimilarities
from mdreid_bench.results.schema import Record
from tests.report.fakes import study

NAMES = ("specific R", "specific T", "shared R", "shared T")
IDEAL = ((1.0, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 1), (0, 0, 1, 1))


def level(value: float) -> tuple[tuple[float, ...], ...]:
    """Return a matrix that is 1 on the diagonal and everywhere else the same."""
    return tuple(tuple(1.0 if x == y else value for x in range(4)) for y in range(4))


def place(root: Path, records: Sequence[Record], *, before: bool = True) -> None:
    for record in records:
        start = level(0.9) if before else None
        found = PartSimilarities(names=NAMES, ideal=IDEAL, items=9, before=start, after=level(0.25 * record.seed))
        found.write(root / record.folder_name / "decoupling.json")


def tables(root: Path, records: Sequence[Record], **given: bool) -> list[Table]:
    return decoupling_tables(records, lambda record: root / record.folder_name, **given)


def test_a_table_has_the_mean_over_the_seeds_beside_the_ideal(tmp_path: Path) -> None:
    records = list(study(["mdreid", "editor"], seeds=(1, 2)))
    place(tmp_path, [record for record in records if record.method == "mdreid"])
    (table,) = tables(tmp_path, records)
    assert table.title == "Decoupling of MDReID, RGBNT201 (synthetic)"
    assert table.column_groups() == [("", 1), ("before", 4), ("after", 4), ("ideal", 4)]
    values = np.array([[cell.value for cell in row if isinstance(cell, Number)] for row in table.rows])
    wanted = np.hstack([100 * np.array(matrix) for matrix in (level(0.9), level(0.375), IDEAL)])
    assert values == pytest.approx(wanted)
    assert "means over 9 test items and seeds 1, 2" in table.caption
    far = [((10 * at**2) + 2 * (1 - at) ** 2) / 16 for at in (0.9, 0.25, 0.5)]
    spread = abs(far[1] - far[2]) / 2**0.5
    told = f"{far[0]:.3f} ± 0.000 before training, {(far[1] + far[2]) / 2:.3f} ± {spread:.3f} after training"
    assert told in table.caption
    assert "equal parts have 0.625" in table.caption
    (short,) = tables(tmp_path, records, ideal=False)
    assert short.column_groups() == table.column_groups()[:3]


def test_what_was_not_measured_is_left_out(tmp_path: Path) -> None:
    records = list(study(["mdreid"], seeds=(1,)))
    assert tables(tmp_path, records) == []
    place(tmp_path, records, before=False)
    (table,) = tables(tmp_path, records)
    assert table.column_groups() == [("", 1), ("after", 4), ("ideal", 4)]
    assert "before" not in table.caption


def test_a_report_draws_the_matrices_side_by_side(tmp_path: Path) -> None:
    records = list(study(["mdreid"], seeds=(1,)))
    place(tmp_path, records)
    contents = Contents(group_records(records), (), (), lambda record: tmp_path / record.folder_name)
    sections = contents.sections(())
    (section,) = [section for section in sections if section.name == "decoupling"]
    files = write_report(tmp_path / "out", ["html", "csv"], contents, sections, lambda: (), True, Silent())
    assert {path.suffix for path in files if path.stem == "decoupling-of-mdreid-rgbnt201-synthetic"} == {
        ".svg",
        ".png",
    }
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    data = json.loads(page.partition('id="data">')[2].partition("</script>")[0])
    (drawn,) = data["pictures"]
    assert drawn["title"] == section.tables[0].title
    assert base64.b64decode(drawn["image"].partition(",")[2]).startswith(b"<?xml")
    drawing = matrices(section.tables[0])
    *panels, bar = drawing.axes
    assert [panel.get_title() for panel in panels] == ["before", "after", "ideal"]
    assert [np.asarray(panel.images[0].get_array()) for panel in panels] == [
        pytest.approx(np.array(matrix)) for matrix in (level(0.9), level(0.25), IDEAL)
    ]
    assert bar.get_ylabel() == "cosine"
