"""Tables of methods under some protocols, as the paper has them: matched, mismatched, missing modality."""

from collections.abc import Collection, Sequence

from mdreid_bench.report.comparison import ComparisonRow, comparison
from mdreid_bench.report.groups import Group
from mdreid_bench.report.printed import Printed, printed_rows
from mdreid_bench.report.quantities import METRICS, Quantity, average, single
from mdreid_bench.report.table import Table
from mdreid_bench.results.published import Figure, method_key

PAPERS = ("MDReID", "MAN")
"""The papers whose tables are mirrored, within a dataset and from one to another; the methods in them are shown even
when they were not run."""
MOST_COLUMNS = 24
"""Tables that would have more columns of numbers are split by metric."""


def protocol_tables(
    title: str,
    protocols: Sequence[str],
    suite: str,
    group: Group,
    figures: Sequence[Figure],
    methods: Collection[str],
) -> list[Table]:
    """Build the table of some protocols and their mean for one group, or one a metric where it would be too wide.

    Args:
        protocols: a single one is shown with all metrics, several with mAP and Rank-1.
        suite: name of the protocols, by which their printed average is known.
        figures: all published ones; none to leave them out.
        methods: asked for by name; empty for all, and for those that are in the paper alone.
    """
    metrics = group.metrics if len(protocols) == 1 else group.main_metrics
    quantities = [quantity for metric in metrics for quantity in _quantities(suite, tuple(protocols), metric)]
    parts = [(title, quantities)]
    if len(quantities) * (3 if figures else 1) > MOST_COLUMNS:
        parts = [(f"{title}, {METRICS[m]}", [q for q in quantities if q.metric == m]) for m in metrics]
    shown = [figure for figure in figures if figure.dataset == group.printed]
    rows = method_rows(group, quantities, shown, methods)
    notes = [group.note] if group.note else []
    tables = [comparison(heading, group, part, rows, notes) for heading, part in parts]
    return [table for table in tables if table is not None]


def method_rows(
    group: Group, quantities: Sequence[Quantity], figures: Sequence[Figure], methods: Collection[str] = ()
) -> list[ComparisonRow]:
    """Pair methods with what is printed about them: the paper's order first, then methods that nobody prints."""
    printed: dict[str, list[Printed]] = {}
    for entry in printed_rows(figures, quantities):
        printed.setdefault(method_key(entry.method), []).append(entry)
    rows = []
    for key, entries in printed.items():
        ours = [variant for variant in group.variants if method_key(variant.method) == key]
        if ours:
            rows += [ComparisonRow(v.label, v, entry, entry is entries[0]) for v in ours for entry in entries]
        elif not methods and any(_in_paper(entry, quantities) for entry in entries):
            rows += [ComparisonRow(entry.method, None, entry) for entry in entries]
    return rows + [ComparisonRow(v.label, v) for v in group.variants if method_key(v.method) not in printed]


def _in_paper(entry: Printed, quantities: Sequence[Quantity]) -> bool:
    """Tell whether these papers print at least half of the columns; single figures come from other tables of it."""
    found = [entry.figures.get((quantity.printed, quantity.metric)) for quantity in quantities]
    return 2 * sum(figure is not None and figure.paper in PAPERS for figure in found) >= len(found)


def _quantities(suite: str, protocols: tuple[str, ...], metric: str) -> list[Quantity]:
    if len(protocols) == 1:
        return [single(protocols[0], metric, METRICS[metric])]
    return [*(single(protocol, metric) for protocol in protocols), average(suite, protocols, metric)]
