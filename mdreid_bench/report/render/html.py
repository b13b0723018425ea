"""The page: one file that asks for nothing from outside, made of data as JSON, our script and a table library."""

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from importlib.resources import files
from string import Template
from types import MappingProxyType

from mdreid_bench.report.cost import KINDS
from mdreid_bench.report.figures.cmc import CurveFigure
from mdreid_bench.report.page.published import published_content
from mdreid_bench.report.page.records import Content, Measurements
from mdreid_bench.report.page.tables import section_content
from mdreid_bench.report.sections import Contents, Section
from mdreid_bench.wording import printable

_ASSETS = files("mdreid_bench.report.page")
_LIBRARY = "tabulator.min.js"
_LICENCE = "tabulator.LICENSE"


def render_html(
    contents: Contents,
    sections: Sequence[Section],
    curves: Iterable[CurveFigure] = (),
    pictures: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """Return the page.

    Its scripts are allowed by their hashes alone, so that no text of a record could run even if it were not shown as
    text; which it is.

    Args:
        contents: all that was measured, and what is published.
        sections: tables as the other forms of the report have them.
        curves: drawings that stand by themselves.
        pictures: title of a table -> its drawing as SVG.
    """
    scripts = [_asset(_LIBRARY), _asset("page.js")]
    hashes = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts)
    return Template(_asset("page.html")).substitute(
        allowed=" ".join(f"'sha256-{one}'" for one in hashes),
        library_style=_asset("tabulator.min.css"),
        style=_asset("page.css"),
        data=embedded(page_content(contents, sections, curves, pictures)),
        licence=escape(_asset(_LICENCE)),
        library=scripts[0],
        script=scripts[1],
    )


def page_content(
    contents: Contents,
    sections: Sequence[Section],
    curves: Iterable[CurveFigure] = (),
    pictures: Mapping[str, str] = MappingProxyType({}),
) -> Content:
    """Return the data of the page; the arguments are those of :func:`render_html`."""
    measured = Measurements(contents.groups, contents.folder)
    content = measured.content()
    views = [data["views"] for data in content["data"]]
    drawn: list[tuple[str, str, tuple[str, ...]]] = [(title, svg, ()) for title, svg in pictures.items()]
    drawn += [(curve.title, curve.svg, curve.notes) for curve in curves]
    places = {title: place for place, (title, *_) in enumerate(drawn)}
    return content | {
        "costs": {kind: title for title, kind in KINDS.items()},
        "published": published_content(contents.groups, contents.figures, contents.methods, views),
        "sections": section_content(sections, measured, places),
        "pictures": [{"title": title, "image": _address(svg), "notes": list(notes)} for title, svg, notes in drawn],
    }


def embedded(content: object) -> str:
    """Return JSON that is safe between the tags of an element: no character of it can end or open one.

    Characters that steer (a terminal, the direction of writing) are spelled out, as everywhere.
    """
    text = json.dumps(_plain(content), separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _plain(content: object) -> object:
    if isinstance(content, str):
        return content if content.isprintable() else printable(content)
    if isinstance(content, Mapping):
        return {printable(str(key)): _plain(value) for key, value in content.items()}
    return [_plain(one) for one in content] if isinstance(content, list | tuple) else content


def _asset(name: str) -> str:
    return _ASSETS.joinpath(name).read_text(encoding="utf-8")


def _address(svg: str) -> str:
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode("ascii")
