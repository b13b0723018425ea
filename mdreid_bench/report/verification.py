"""Measured against published: which figures belong to a checkpoint, and whether it reaches them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mdreid_bench.report.quantities import METRICS
from mdreid_bench.report.table import Cell, Column, Label, Missing, Number, Table
from mdreid_bench.report.variants import PERCENT
from mdreid_bench.results.published import Figure, figures, method_key
from mdreid_bench.results.schema import Record
from protocols.names import UnknownNameError
from protocols.protocol import Protocol

TOLERANCE = 0.1
"""Largest difference, in percent, that counts as agreement: the last digit that is printed."""
_NOISE = 1e-9
_PAPER = "mdreid"


@dataclass(frozen=True)
class Check:
    """One published figure and what was measured, both in percent; None when the protocol could not be evaluated."""

    figure: Figure
    measured: float | None

    @property
    def difference(self) -> float | None:
        """Measured minus published, in percent."""
        return None if self.measured is None else self.measured - self.figure.value

    @property
    def agrees(self) -> bool:
        """Whether both are the same within what is printed."""
        return self.difference is not None and abs(self.difference) <= TOLERANCE + _NOISE


def published(dataset: str, method: str) -> list[Figure]:
    """Return the figures that a method's checkpoint for a dataset should reach, protocol by protocol.

    Those are printed in the MDReID paper or in a document of the method's own, under the plain name of the method or
    its marks for variants; where several are printed for one protocol and metric, the first in that order counts.

    Raises:
        DataError: when the published figures are missing or damaged.
    """
    documents = {_PAPER, method_key(method)}
    found: dict[str, dict[str, Figure]] = {}
    for figure in figures():
        own = method_key(figure.method) == method_key(method) and method_key(figure.paper) in documents
        if own and figure.dataset == dataset and figure.metric in METRICS and _is_protocol(figure.protocol):
            found.setdefault(figure.protocol, {}).setdefault(figure.metric, figure)
    return [figure for by_metric in found.values() for figure in by_metric.values()]


def protocols_in(wanted: Iterable[Figure]) -> list[Protocol]:
    """Return the protocols of figures, each once."""
    return [Protocol.parse(name) for name in dict.fromkeys(figure.protocol for figure in wanted)]


def compare(wanted: Iterable[Figure], records: Iterable[Record]) -> list[Check]:
    """Put what was measured beside every figure."""
    measured = {record.protocol: record.metrics for record in records}
    return [
        Check(
            figure,
            PERCENT * getattr(measured[figure.protocol], figure.metric) if figure.protocol in measured else None,
        )
        for figure in wanted
    ]


def check_table(title: str, checks: Sequence[Check], notes: Sequence[str]) -> Table:
    """Return one row per figure: published, measured, difference, verdict; the notes stand below."""
    agreed = sum(check.agrees for check in checks)
    return Table(
        title=title,
        caption=f"Values in %. {agreed} of {len(checks)} figures agree within {TOLERANCE}.",
        columns=(
            *map(Column, ("protocol", "metric", "source")),
            *(Column(title, numeric=True) for title in ("published", "measured", "difference")),
            Column("verdict"),
        ),
        rows=tuple(_row(check) for check in checks),
        footnotes=tuple(notes),
    )


def _row(check: Check) -> tuple[Cell, ...]:
    figure, difference = check.figure, check.difference
    source = Label(figure.place, figure.note) if figure.note else figure.place
    measured: list[Cell] = [Missing("could not be evaluated")] * 2
    if check.measured is not None and difference is not None:
        measured = [Number(check.measured, decimals=2), Number(difference, decimals=2, signed=True)]
    verdict = "agrees" if check.agrees else "differs"
    return figure.protocol, METRICS[figure.metric], source, Number(figure.value), *measured, verdict


def _is_protocol(name: str) -> bool:
    """Tell a protocol from an average over several."""
    try:
        Protocol.parse(name)
    except UnknownNameError:
        return False
    return True
