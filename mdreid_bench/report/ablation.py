"""The ablation of the paper: five rows, two sweeps of weights, and the two kinds of vectors by themselves."""

from collections.abc import Sequence
from dataclasses import replace

from mdreid_bench.models.mdreid.ablation import COMPONENTS, DEFAULTS, ROWS, SWEEPS, Study, StudyRow, is_ablated, swept
from mdreid_bench.report.comparison import ComparisonRow, comparison
from mdreid_bench.report.groups import Group
from mdreid_bench.report.paper_tables import PAPERS
from mdreid_bench.report.printed import Printed, printed_rows
from mdreid_bench.report.quantities import Quantity, average, single
from mdreid_bench.report.table import Table
from mdreid_bench.report.variants import row_variants
from mdreid_bench.results.published import Figure
from mdreid_bench.wording import in_words
from protocols.suites import suite

SUITE = "ablation"
COMPONENT_PROTOCOL = "RT-to-NT"
"""The one protocol of the paper's Table 6."""


def ablation_tables(group: Group, figures: Sequence[Figure]) -> list[Table]:
    """Build the tables that there are records for, over the settings that the dataset can serve.

    There are none when nothing was ablated.
    """
    served = tuple(str(protocol) for protocol in suite(SUITE) if protocol.needs in group.sensors)
    if not served or not any(is_ablated(record.method, record.options) for record in group.records):
        return []
    shown = [f for f in figures if f.dataset == group.printed and f.paper in PAPERS]
    mean = f"mean over the {in_words(len(served))} settings" if len(served) > 1 else served[0]
    means = [average(SUITE, served, metric) for metric in group.metrics]
    settings = [single(protocol, metric) for protocol in served for metric in group.main_metrics]
    component = [single(COMPONENT_PROTOCOL, metric) for metric in group.main_metrics]
    main_means = [average(SUITE, served, metric) for metric in group.main_metrics]
    tables = [
        _table(f"{ROWS.title}: {mean}", group, means, ROWS, shown),
        _table(f"{ROWS.title}: every setting", group, settings, ROWS, ()),
        *(_sweep(name, mean, group, main_means, shown) for name in SWEEPS),
        _table(f"Kinds of vectors under {COMPONENT_PROTOCOL}", group, component, COMPONENTS, shown),
        _table(f"Kinds of vectors: {mean}", group, main_means, COMPONENTS, ()),
    ]
    return [table for table in tables if table is not None]


def _sweep(
    name: str, mean: str, group: Group, quantities: Sequence[Quantity], figures: Sequence[Figure]
) -> Table | None:
    """Build the table of one weight; None when it has only the values that the rows of the ablation have."""
    option = SWEEPS[name].option
    study = swept(name, [(record.method, record.options) for record in group.records])
    weights = tuple(float(row.options[option]) for row in study.rows)
    if not set(weights) - {0, DEFAULTS[option]}:
        return None
    table = _table(f"{study.title.format(**DEFAULTS)}: {mean}", group, quantities, study, figures)
    # With several variants of a weight, the curve would zigzag between them; chance is the row below.
    return replace(table, curve=weights) if table and len(table.rows) == len(weights) + 1 else table


def _table(
    title: str, group: Group, quantities: Sequence[Quantity], study: Study, figures: Sequence[Figure]
) -> Table | None:
    """Build one table; None when fewer than two rows were measured, for then nothing is compared."""
    rows = [row for one in study.rows for row in _rows(group, one, quantities, figures)]
    measured = {row.label for row in rows if row.variant is not None}
    return comparison(title, group, quantities, rows) if len(measured) > 1 else None


def _rows(
    group: Group, row: StudyRow, quantities: Sequence[Quantity], figures: Sequence[Figure]
) -> list[ComparisonRow]:
    variants = row_variants(row.label, (r for r in group.records if row.fits(r.method, r.options)))
    printed = _printed(row, quantities, figures)
    return [ComparisonRow(v.label, v, printed) for v in variants] or [ComparisonRow(row.label, None, printed)]


def _printed(row: StudyRow, quantities: Sequence[Quantity], figures: Sequence[Figure]) -> Printed | None:
    """Return the figures of a row in the paper, whose tables call it by several names."""
    ours = [replace(figure, method=row.printed[0]) for figure in figures if figure.method in row.printed]
    return next(iter(printed_rows(ours, quantities)), None)
