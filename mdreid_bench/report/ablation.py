"""The ablation of the paper: five rows, two sweeps of weights, and the two kinds of vectors by themselves."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from mdreid_bench.report.ablation_options import ROWS, SINGLE, W1, W2, Parts, is_ablated, parts
from mdreid_bench.report.comparison import ComparisonRow, comparison
from mdreid_bench.report.groups import Group
from mdreid_bench.report.paper_tables import PAPER
from mdreid_bench.report.printed import Printed, printed_rows
from mdreid_bench.report.quantities import MAIN_METRICS, METRICS, Quantity, average, single
from mdreid_bench.report.table import Table
from mdreid_bench.report.variants import group_variants
from mdreid_bench.results.published import Figure
from protocols.suites import suite

SUITE = "ablation"
PROTOCOLS = tuple(str(protocol) for protocol in suite(SUITE))
COMPONENT_PROTOCOL = "RT-to-NT"
"""The one protocol of the paper's Table 6."""
_COMPONENTS = ("specific", "shared", "both")
_NAMES = {
    SINGLE: ("MDReID [MDL x, ROL x, KDL x]",),
    "MDL": ("MDReID [MDL, -, -]",),
    "MDL + ROL": ("MDReID [MDL+ROL]",),
    "MDL + KDL": ("MDReID [MDL+KDL]",),
    "MDL + ROL + KDL": ("MDReID [MDL+ROL+KDL]", "MDReID full", "MDReID"),
}
"""Row -> what the published figures call it; the single settings of the full method stand in other tables."""


@dataclass(frozen=True)
class Case:
    """One row of a study.

    Attributes:
        label: what the row is called.
        has: tells the records that belong in it.
        names: what the published figures call it.
        weight: the value of the weight that is swept.
    """

    label: str
    has: Callable[[Parts], bool]
    names: tuple[str, ...]
    weight: float | None = None


def ablation_tables(group: Group, figures: Sequence[Figure], published: bool) -> list[Table]:
    """Build the tables that there are records for; none when nothing was ablated."""
    if not any(is_ablated(record) for record in group.records):
        return []
    shown = [f for f in figures if published and f.dataset == group.dataset and f.paper == PAPER]
    means = [average(SUITE, PROTOCOLS, metric) for metric in METRICS]
    settings = [single(protocol, metric) for protocol in PROTOCOLS for metric in MAIN_METRICS]
    component = [single(COMPONENT_PROTOCOL, metric) for metric in MAIN_METRICS]
    main_means = means[: len(MAIN_METRICS)]
    first, second = _w1_cases(group), _w2_cases(group)
    rows = [Case(name, _row_is(name), _NAMES[name]) for name in ROWS]
    vectors = [Case(f"{name} vectors", _components_are(name), (_printed_component(name),)) for name in _COMPONENTS]
    tables = [
        _study("Ablation: mean over the six settings", group, means, rows, shown, published),
        _study("Ablation: every setting", group, settings, rows, (), published=False),
        _study(
            "Weight w1 of ROL, without KDL: mean over the six settings", group, main_means, first, shown, published
        ),
        _study(
            "Weight w2 of KDL, with w1 = 1.5: mean over the six settings", group, main_means, second, shown, published
        ),
        _study(f"Kinds of vectors under {COMPONENT_PROTOCOL}", group, component, vectors, shown, published),
        _study("Kinds of vectors: mean over the six settings", group, main_means, vectors, (), published=False),
    ]
    return [table for table in tables if table is not None]


def _study(
    title: str,
    group: Group,
    quantities: Sequence[Quantity],
    cases: Sequence[Case],
    figures: Sequence[Figure],
    published: bool,
) -> Table | None:
    """Build one table; None when fewer than two cases were measured, for then nothing is compared."""
    rows = [row for case in cases for row in _case_rows(group, case, quantities, figures)]
    measured = {row.label for row in rows if row.variant is not None}
    table = comparison(title, group, quantities, rows, published) if len(measured) > 1 else None
    weights = [case.weight for case in cases if case.weight is not None]
    # With several variants of a case, the curve would zigzag between them.
    return replace(table, curve=tuple(weights)) if table and len(weights) == len(rows) else table


def _case_rows(
    group: Group, case: Case, quantities: Sequence[Quantity], figures: Sequence[Figure]
) -> list[ComparisonRow]:
    belonging = [r for r in group.records if (found := parts(r)) is not None and case.has(found)]
    variants = group_variants(belonging)
    if len(variants) == 1:
        variants = [replace(variants[0], label=case.label)]
    else:
        variants = [replace(variant, label=f"{case.label}: {variant.label}") for variant in variants]
    printed = _printed(case, quantities, figures)
    return [ComparisonRow(variant.label, variant, printed) for variant in variants] or [
        ComparisonRow(case.label, printed=printed)
    ]


def _printed(case: Case, quantities: Sequence[Quantity], figures: Sequence[Figure]) -> Printed | None:
    """Return the figures of a case in the paper, whose tables call it by several names."""
    ours = [replace(figure, method=case.names[0]) for figure in figures if figure.method in case.names]
    return next(iter(printed_rows(ours, quantities)), None)


def _w1_cases(group: Group) -> list[Case]:
    weights = {found.w1 for found in _decoupled(group) if found.w2 == 0}
    if not weights - {0, W1}:
        return []
    return [Case(f"w1 = {w:g}", _is(w, 0), (f"MDReID w1={w}, no KDL",), w) for w in sorted(weights)]


def _w2_cases(group: Group) -> list[Case]:
    weights = {found.w2 for found in _decoupled(group) if found.w1 == W1}
    if not weights - {0, W2}:
        return []
    return [Case(f"w2 = {w:g}", _is(W1, w), (f"MDReID w2={w}, w1=1.5",), w) for w in sorted(weights)]


def _decoupled(group: Group) -> list[Parts]:
    """Return what the records with both kinds of vectors have in force."""
    found = map(parts, group.records)
    return [one for one in found if one is not None and one.mdl and one.components == "both"]


def _is(w1: float, w2: float) -> Callable[[Parts], bool]:
    return lambda found: found == Parts(mdl=True, w1=w1, w2=w2, components="both")


def _row_is(name: str) -> Callable[[Parts], bool]:
    return lambda found: found.row == name


def _components_are(name: str) -> Callable[[Parts], bool]:
    return lambda found: replace(found, components="both").whole and found.components == name


def _printed_component(name: str) -> str:
    return f"MDReID {name}" if name == "both" else f"MDReID {name} only"
