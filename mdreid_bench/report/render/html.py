"""Tables on one self-contained HTML page; where a number comes from is shown when the pointer rests on it."""

import base64
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from types import MappingProxyType
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from mdreid_bench.report.figures.cmc import CurveFigure
from mdreid_bench.report.sections import Section
from mdreid_bench.report.table import Cell, Column, Emphasis, Missing, Number, Table, remark, shown
from mdreid_bench.wording import printable

_ELEMENTS = {Emphasis.NONE: "", Emphasis.BEST: "b", Emphasis.SECOND: "u"}


def render_html(
    sections: Sequence[Section],
    curves: Iterable[CurveFigure] = (),
    pictures: Mapping[str, str] = MappingProxyType({}),
    synthetic: bool = False,
) -> str:
    """Return the page; it asks for nothing from outside and runs no script.

    Sweeps stand below the tables of their titles, as SVG; ``synthetic`` says whether any number is of synthetic data.
    """
    page = _environment().get_template("page.html.j2")
    return page.render(
        sections=sections, plain=lambda table: _plain(table, pictures), curves=list(curves), synthetic=synthetic
    )


def render_html_table(table: Table) -> str:
    """Return one table as a fragment of a page."""
    return _environment().get_template("table.html.j2").render(table=_plain(table, {}))


@cache
def _environment() -> Environment:
    """Return the templates, which escape every text put into them."""
    environment = Environment(
        loader=PackageLoader("mdreid_bench.report"), autoescape=True, undefined=StrictUndefined, trim_blocks=False
    )
    environment.finalize = lambda value: printable(value) if type(value) is str else value
    environment.filters["address"] = _data_address
    return environment


def _plain(table: Table, pictures: Mapping[str, str]) -> dict[str, Any]:
    """Return what the template needs, worked out."""
    markers = table.marks()
    return {
        "title": table.title,
        "picture": _data_address(pictures[table.title]) if table.title in pictures else "",
        "caption": table.caption,
        "groups": table.column_groups(),
        "columns": table.columns,
        "rows": [
            {
                "rule": index in table.rules,
                "cells": [
                    _cell(cell, column, markers, table.shaded)
                    for cell, column in zip(row, table.columns, strict=True)
                ],
            }
            for index, row in enumerate(table.rows)
        ],
        "notes": table.notes(),
    }


def _cell(cell: Cell, column: Column, markers: dict[str, str], shaded: bool) -> dict[str, Any]:
    classes = ["number"] if column.numeric else ["wide"] if column.wide else []
    note = remark(cell)
    plain: dict[str, Any] = {"emphasis": "", "suffix": "", "heat": None, "text": shown(cell), "hover": note}
    if isinstance(cell, Missing):
        classes.append("missing")
    if isinstance(cell, Number):
        plain |= {
            "text": cell.text.replace("-", "\N{MINUS SIGN}"),
            "suffix": cell.suffix,
            "emphasis": _ELEMENTS[cell.emphasis],
            "hover": "; ".join(filter(None, (cell.origin, note))),
            "heat": f"{min(max(cell.value / 100, 0), 1):.2f}" if shaded else None,
        }
    return plain | {"classes": " ".join(classes), "marker": markers.get(note, "")}


def _data_address(svg: str) -> str:
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode("ascii")
