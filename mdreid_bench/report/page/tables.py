"""Tables as the page has them, with the records that each number was measured from."""

from collections.abc import Mapping, Sequence

from mdreid_bench.report.page.records import Content, Measurements
from mdreid_bench.report.sections import Section
from mdreid_bench.report.table import Cell, Emphasis, Missing, Number, Table, remark, shown

_RANKS = {Emphasis.BEST: 1, Emphasis.SECOND: 2}


def section_content(
    sections: Sequence[Section], measured: Measurements, pictures: Mapping[str, int]
) -> list[Content]:
    """Return sections with their tables; ``pictures`` has the place of the picture of a table, by its title."""
    return [
        {
            "name": section.name,
            "title": section.title,
            "tables": [_table(table, measured, pictures.get(table.title)) for table in section.tables],
        }
        for section in sections
    ]


def _table(table: Table, measured: Measurements, picture: int | None) -> Content:
    marks = table.marks()
    return {
        "title": table.title,
        "caption": table.caption,
        "columns": [[column.group, column.title, column.numeric] for column in table.columns],
        "rows": [[_cell(cell, measured, marks) for cell in row] for row in table.rows],
        "notes": table.notes(),
        "shaded": table.shaded,
        "picture": picture,
    }


def _cell(cell: Cell, measured: Measurements, marks: Mapping[str, str]) -> str | Content:
    """Return plain text as it is, and of others what there is; ``marks`` name the notes below the table."""
    if isinstance(cell, str):
        return cell
    mark = marks.get(remark(cell))
    if isinstance(cell, Missing):
        return {"reason": cell.reason, "mark": mark}
    content: Content = {"text": shown(cell), "note": remark(cell), "mark": mark}
    if isinstance(cell, Number):
        places = measured.places(cell.records)
        content |= {"value": cell.value, "suffix": cell.suffix, "rank": _RANKS.get(cell.emphasis)}
        content |= {"records": places} if places else {"origin": cell.origin}
    return {key: value for key, value in content.items() if value not in ("", None)}
