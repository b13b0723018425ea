"""Published figures arranged in rows: one for each method and each source that disagrees with the others."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from mdreid_bench.report.quantities import Quantity
from mdreid_bench.report.table import Cell, Label, Missing, Number
from mdreid_bench.results.published import Figure, method_key

NO_FIGURE = "no published figure"
ROUNDING = 0.1
"""Most that rounding to one decimal can move a mean of printed cells away from the printed mean."""
Key = tuple[str, str]


@dataclass(frozen=True)
class Printed:
    """What agreeing sources print about one method.

    Attributes:
        method: as printed; variants such as ``EDITOR(B)`` under the name that is printed first.
        places: (document, table) of each source, with the printed name where it is another.
        figures: (protocol, metric) -> figure.
    """

    method: str
    places: tuple[tuple[str, str], ...]
    figures: Mapping[Key, Figure]

    @property
    def label(self) -> Label:
        """The places in one line, with the note that all figures share."""
        tables: dict[str, list[str]] = {}
        for paper, table in self.places:
            tables.setdefault(paper, []).append(table)
        return Label("; ".join(f"{paper} {', '.join(found)}" for paper, found in tables.items()), self._common_note)

    @property
    def _common_note(self) -> str:
        notes = {figure.note for figure in self.figures.values()}
        return notes.pop() if len(notes) == 1 else ""

    def cell(self, quantity: Quantity) -> Cell:
        """Return the figure for a quantity as printed, with its note."""
        figure = self.figures.get((quantity.printed, quantity.metric))
        if figure is None:
            return Missing(NO_FIGURE)
        note = figure.note
        if self._misprinted(quantity, figure):
            told = note or "the printed average is not the mean of the printed columns"
            note = f"{told}; that mean is {self.reference(quantity):.2f}, with which ours is compared"
        elif note == self._common_note:
            note = ""
        return Number(
            figure.value,
            decimals=printed_decimals(figure.value),
            note=note,
            origin=f"published in {self.label.text}; {figure.source}",
        )

    def reference(self, quantity: Quantity) -> float | None:
        """Return what to compare a measurement with: the true mean where the printed average is not one."""
        figure = self.figures.get((quantity.printed, quantity.metric))
        if figure is not None and self._misprinted(quantity, figure):
            return self._mean(quantity)
        return figure.value if figure else None

    def _misprinted(self, quantity: Quantity, figure: Figure) -> bool:
        mean = self._mean(quantity)
        return mean is not None and abs(mean - figure.value) > ROUNDING + 1e-9

    def _mean(self, quantity: Quantity) -> float | None:
        """Return the mean of the printed cells that an average stands for, if all are printed."""
        cells = [self.figures.get((protocol, quantity.metric)) for protocol in quantity.protocols]
        if not quantity.mean or None in cells:
            return None
        return statistics.fmean(cell.value for cell in cells if cell)


def printed_rows(figures: Iterable[Figure], quantities: Sequence[Quantity]) -> list[Printed]:
    """Arrange the figures that belong to the quantities: methods in printed order, then their sources.

    Sources that print the same share a row; so do the tables of one document.
    """
    wanted = {(name, q.metric) for q in quantities for name in (q.printed, *q.protocols)}
    places: dict[tuple[str, str, str, str], dict[Key, Figure]] = {}
    names: dict[str, str] = {}
    for figure in figures:
        key = (figure.protocol, figure.metric)
        if key in wanted:
            names.setdefault(method_key(figure.method), figure.method)
            places.setdefault((figure.method, figure.source, figure.paper, figure.table), {})[key] = figure
    methods: dict[str, list[Printed]] = {}
    for (method, _, paper, table), found in places.items():
        name = names[method_key(method)]
        told = table if method == name else f"{table} as {method}"
        _fold(methods.setdefault(name, []), Printed(name, ((paper, told),), _attributed(found)))
    return [row for rows in methods.values() for row in rows]


def _attributed(figures: Mapping[Key, Figure]) -> dict[Key, Figure]:
    """Say in every note whose note it is, since rows of several sources may be brought together."""
    return {
        key: replace(figure, note=f"{figure.paper}: {figure.note}") if figure.note else figure
        for key, figure in figures.items()
    }


def _fold(rows: list[Printed], new: Printed) -> None:
    """Add a source to the row that it agrees with, or as a row of its own."""
    for index, row in enumerate(rows):
        if _agree(row, new):
            rows[index] = _merged(row, new)
            return
    rows.append(new)


def _agree(row: Printed, new: Printed) -> bool:
    shared = row.figures.keys() & new.figures.keys()
    same_source = {f.source for f in row.figures.values()} >= {f.source for f in new.figures.values()}
    alike = all(f"{row.figures[key].value:.1f}" == f"{new.figures[key].value:.1f}" for key in shared)
    nested = new.figures.keys() <= row.figures.keys() or row.figures.keys() <= new.figures.keys()
    return alike and (same_source or nested)


def _merged(row: Printed, new: Printed) -> Printed:
    figures = dict(row.figures)
    for key, figure in new.figures.items():
        known = figures.setdefault(key, figure)
        notes = dict.fromkeys(filter(None, (known.note, figure.note)))
        figures[key] = replace(known, note="; ".join(notes))
    return Printed(row.method, tuple(dict.fromkeys((*row.places, *new.places))), figures)


def printed_decimals(value: float) -> int:
    """Return the decimals in print: at least one, at most two."""
    return min(max(len(f"{value:.4f}".rstrip("0").partition(".")[2]), 1), 2)
