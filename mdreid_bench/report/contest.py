"""Tables of all pairs of methods: letters for those that cannot be told apart, differences, published figures."""

from collections.abc import Sequence
from dataclasses import replace

from mdreid_bench.evaluation.contest import Pair, Standing
from mdreid_bench.report import remarks
from mdreid_bench.report.printed import Printed, printed_decimals, printed_rows
from mdreid_bench.report.quantities import METRICS, Quantity
from mdreid_bench.report.table import Column, Number, Table, emphasise
from mdreid_bench.report.titles import data_title
from mdreid_bench.report.variants import PERCENT, Variant
from mdreid_bench.results.published import AVERAGE, Figure, method_key, transfer
from protocols.randomisation import PERMUTATIONS

TEST = (
    f"paired randomisation test, {PERMUTATIONS:,} exchanges of the values of whole identities between two methods; "
    "Holm's correction over all pairs (docs/statistics.md)."
)
SHARED = "Two methods of a column that share a letter cannot be told apart at 5 %, corrected for all its pairs."
INTERVAL = "[low, high]: 95 % interval of a paired bootstrap over queries, clustered by identity."
_PLACES = {-1: "below", 0: "inside", 1: "above"}
"""Where a published figure lies, seen from our interval."""


def letters_table(variants: Sequence[Variant], standings: Sequence[Standing], metric: str) -> Table:
    """Build the table with a row for each method, the best first, and a column for each standing."""
    order = sorted(range(len(variants)), key=lambda method: -standings[-1].means[method])
    columns = [
        emphasise([replace(_value(one, m), letters=one.letters[m], ranked=variants[m].ranked) for m in order])
        for one in standings
    ]
    return _table(
        f"{METRICS[metric]} and what can be told apart",
        variants,
        standings,
        (Column("method"), *(Column(one.name, numeric=True) for one in standings)),
        [(variants[m].label, *cells) for m, cells in zip(order, zip(*columns, strict=True), strict=True)],
        (SHARED, f"p: {TEST}", *_luck(standings[-1])),
    )


def pairs_table(variants: Sequence[Variant], standing: Standing, metric: str) -> Table:
    """Build the table with a row for each pair of a standing, the largest difference first."""
    pairs = sorted(standing.pairs, key=lambda pair: -abs(pair.difference.mean))
    rows = []
    for pair in pairs:
        sign = 1 if pair.difference.mean >= 0 else -1
        one, other = (pair.a, pair.b) if sign > 0 else (pair.b, pair.a)
        low, high = sorted((sign * pair.difference.low, sign * pair.difference.high))
        apart = Number(PERCENT * abs(pair.difference.mean), interval=(PERCENT * low, PERCENT * high))
        rows.append((variants[one].label, variants[other].label, apart, *_p(pair)))
    headings = (Column("difference", numeric=True), Column("p", numeric=True), Column("p (Holm)", numeric=True))
    title = f"Differences in {METRICS[metric]}, {standing.name}"
    columns = (Column("better"), Column("than"), *headings)
    return _table(title, variants, [standing], columns, rows, (INTERVAL, f"p: {TEST}", *_luck(standing)))


def published_table(
    variants: Sequence[Variant], standings: Sequence[Standing], metric: str, figures: Sequence[Figure], suite: str
) -> Table | None:
    """Build the table of published figures beside our intervals; None where nothing is published of these methods.

    Args:
        suite: name of the protocols, by which their printed average is known; empty for none.
    """
    example = variants[0].example
    rows = []
    for one in standings:
        printed_as = f"{AVERAGE}{suite}" if len(one.protocols) > 1 else one.name
        quantity = Quantity(one.name, one.protocols, metric, printed_as)
        wanted = [figure for figure in figures if figure.dataset == transfer(example.sources, example.dataset)]
        for entry in printed_rows(wanted, [quantity]):
            for method, variant in enumerate(variants):
                reference = entry.reference(quantity)
                if method_key(entry.method) == method_key(variant.method) and reference is not None:
                    rows.append(_against(one, method, variant.label, entry, quantity, reference))
    if not rows:
        return None
    columns = (
        *(Column("method"), Column("protocol"), Column("ours", numeric=True), Column("published", numeric=True)),
        *(Column("published is"), Column("published in", wide=True)),
    )
    note = (
        "Inside: within our interval, widened by what rounding the figure may have taken off. It was measured on the "
        "same test identities, so a figure inside is not yet reproduced; one outside is not."
    )
    title = f"Published {METRICS[metric]} against our intervals"
    return _table(title, variants, standings, columns, rows, (INTERVAL.replace("paired ", ""), note))


def _against(
    one: Standing, method: int, label: str, entry: Printed, quantity: Quantity, reference: float
) -> tuple[str | Number, ...]:
    low, high = (PERCENT * bound for bound in one.intervals[method])
    rounding = 0.5 * 10.0 ** -printed_decimals(reference)
    place = (reference > high + rounding) - (reference < low - rounding)
    ours = replace(_value(one, method), interval=(low, high))
    return label, one.name, ours, entry.cell(quantity), _PLACES[place], entry.label  # type: ignore[return-value]


def _value(one: Standing, method: int) -> Number:
    spread = one.spreads[method]
    return Number(PERCENT * one.means[method], spread=None if spread is None else PERCENT * spread)


def _p(pair: Pair) -> tuple[Number, Number]:
    return Number(pair.p, decimals=4), Number(pair.corrected, decimals=4)


def _luck(one: Standing) -> tuple[str, ...]:
    if one.luck is None:
        return ("One training of each method was compared; what another seed would change is not in p.",)
    return (f"p has the luck of training in it: {PERCENT * one.luck:.2f} points between seeds of one method.",)


def _table(
    title: str,
    variants: Sequence[Variant],
    standings: Sequence[Standing],
    columns: tuple[Column, ...],
    rows: Sequence[tuple[str | Number, ...]],
    notes: Sequence[str],
) -> Table:
    protocols = list(dict.fromkeys(name for one in standings for name in one.protocols))
    example = variants[0].example
    return Table(
        title=f"{title}, {data_title(example)}{remarks.data_mark(example)}",
        caption=remarks.caption(variants),
        columns=columns,
        rows=tuple(rows),
        footnotes=(*notes, *remarks.footnotes(variants, protocols), *remarks.provenance(variants, protocols)),
    )
