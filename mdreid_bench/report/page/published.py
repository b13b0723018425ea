"""Published figures as the page has them: a row for each method and each source that disagrees with the others."""

from collections.abc import Collection, Iterable, Iterator, Sequence

from mdreid_bench.report.cost import KINDS, printed_cost
from mdreid_bench.report.groups import Group
from mdreid_bench.report.page.records import Content
from mdreid_bench.report.paper_tables import PAPERS
from mdreid_bench.report.printed import Printed, printed_rows
from mdreid_bench.report.quantities import METRICS, Quantity, average, single
from mdreid_bench.report.table import Number
from mdreid_bench.report.titles import method_title
from mdreid_bench.results.published import Figure, method_key

AVERAGED = {"mismatched": "paper-mismatched", "missing": "missing"}
"""View of the page -> the suite whose printed averages belong to it."""


def published_content(
    groups: Sequence[Group], figures: Sequence[Figure], methods: Collection[str], views: Sequence[Content]
) -> list[Content]:
    """Return the rows of all groups.

    Args:
        figures: all published ones; none to leave them out.
        methods: asked for by name; without any, methods that were not run are shown too where a mirrored paper has
            them.
        views: the protocols of each view, for each group.
    """
    rows = []
    for place, (group, view) in enumerate(zip(groups, views, strict=True)):
        run = {method_key(variant.method) for variant in group.variants}
        quantities = _quantities(view)
        sets = {r.corruption.published for r in group.corrupted if r.corruption and r.corruption.published}
        for name in ("", *sorted(sets)):
            wanted = name.casefold() or group.printed
            for row in printed_rows((figure for figure in figures if figure.dataset == wanted), quantities):
                if method_key(row.method) in run or (not methods and _mirrored(row)):
                    rows.append(_row(place, row, quantities) | ({"set": name} if name else {}))
        rows += _costs(place, group, figures)
    return rows


def _quantities(view: Content) -> list[Quantity]:
    protocols = dict.fromkeys(name for names in view.values() for name in names)
    found = [single(protocol, metric) for protocol in protocols for metric in METRICS]
    for name, suite in AVERAGED.items():
        if len(view[name]) > 1:
            found += [average(suite, tuple(view[name]), metric) for metric in METRICS]
    return found


def _mirrored(row: Printed) -> bool:
    return any(figure.paper in PAPERS for figure in row.figures.values())


def _row(place: int, row: Printed, quantities: Iterable[Quantity]) -> Content:
    """Return a row: protocol, or the suite of an average, and metric -> text and note."""
    values = {}
    for quantity in quantities:
        cell = row.cell(quantity)
        if isinstance(cell, Number):
            values[f"{quantity.printed}|{quantity.metric}"] = [cell.text, cell.note]
    sources = dict.fromkeys(figure.source for figure in row.figures.values())
    told = {"where": row.label.text, "note": row.label.note, "sources": list(sources)}
    return {"data": place, "title": row.method, "key": method_key(row.method), "values": values, **told}


def _costs(place: int, group: Group, figures: Sequence[Figure]) -> Iterator[Content]:
    """Yield a row for each method that was run and whose cost is printed."""
    for variant in {variant.method: variant for variant in group.variants}.values():
        cells = {kind: printed_cost(figures, variant, group, kind) for kind in KINDS.values()}
        found = {kind: cell for kind, cell in cells.items() if isinstance(cell, Number)}
        if found:
            yield {
                "data": place,
                "title": method_title(variant.method),
                "key": method_key(variant.method),
                "values": {kind: [cell.text, cell.note] for kind, cell in found.items()},
                "where": "see each figure",
                "note": "",
                "sources": list(dict.fromkeys(cell.origin for cell in found.values())),
            }
