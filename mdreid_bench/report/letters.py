"""Letters in the tables of a report, for methods that cannot be told apart; docs/statistics.md."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from mdreid_bench.errors import UsageError
from mdreid_bench.evaluation.contest import Entrant, standing
from mdreid_bench.report.contest import SHARED, TEST
from mdreid_bench.report.groups import Locate
from mdreid_bench.report.table import Cell, Number, Table
from mdreid_bench.report.variants import configuration, test_data
from mdreid_bench.results.form import cell_of
from mdreid_bench.results.schema import Repetition

Family = tuple[object, ...]
"""What the numbers have in common that are compared: metric, cells of the protocols, and test data."""
Member = tuple[object, ...]
"""What tells a number from the others: its configuration, and its seeds."""


def lettered(table: Table, place: Locate) -> Table:
    """Return a table whose numbers of one metric under the same protocols have letters, wherever they stand in it.

    Numbers that are alone, and methods that share no seed with the others, have none.

    Args:
        place: gives the path of a record.

    Raises:
        DataError: when the values of a record's queries are not there or must not be believed.
    """
    families: dict[Family, dict[Member, Number]] = {}
    for cell in (cell for row in table.rows for cell in row):
        if isinstance(cell, Number) and cell.metric:
            families.setdefault(_family(cell), {})[_member(cell)] = cell
    found: dict[tuple[Family, Member], str] = {}
    for family, members in families.items():
        with suppress(UsageError):  # they share no seed
            letters = _letters(members, place) if len(members) > 1 else ()
            found |= {(family, member): one for member, one in zip(members, letters, strict=False)}
    if not found:
        return table

    def marked(cell: Cell) -> Cell:
        if not isinstance(cell, Number) or not cell.metric:
            return cell
        return replace(cell, letters=found.get((_family(cell), _member(cell)), ""))

    rows = tuple(tuple(map(marked, row)) for row in table.rows)
    return replace(
        table, rows=rows, footnotes=(*table.footnotes, SHARED, f"Letters, of the seeds that all methods have: {TEST}")
    )


def _letters(members: Mapping[Member, Number], place: Locate) -> tuple[str, ...]:
    entrants = []
    for number in members.values():
        paths: dict[str, dict[Repetition, Path]] = {}
        for record in number.records:
            paths.setdefault(record.protocol, {})[record.repetition] = place(record)
        entrants.append(Entrant("", number.records[0].selection != "none", paths))
    number = next(iter(members.values()))
    return standing(entrants, list(entrants[0].paths), number.metric).letters


def _family(number: Number) -> Family:
    cells = tuple(sorted({cell_of(record) for record in number.records}))
    first = number.records[0]
    return number.metric, cells, first.dataset, test_data(first), first.limit


def _member(number: Number) -> Member:
    return configuration(number.records[0]), tuple(sorted({record.repetition for record in number.records}))
