"""What was found, in one sentence, from the tables that show it."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from mdreid_bench.report.quantities import CHANCE, METRICS
from mdreid_bench.report.table import Number, Table
from mdreid_bench.wording import counted, listed


def conclusion(tables: Sequence[Table]) -> str:
    """Say which method has the highest mAP in one setting, or in how many of several; empty without any number."""
    settings = [setting for table in tables for setting in _settings(table)]
    if len(settings) == 1:
        return _one(*settings[0])
    firsts: Counter[str] = Counter()
    for _, values in settings:
        best = max((value.text for name, value in values.items() if name != CHANCE), key=float)
        firsts.update(name for name, value in values.items() if name != CHANCE and value.text == best)
    if not firsts:
        return ""
    names = [f"{name} in {number}" for name, number in firsts.most_common()]
    synthetic = " of synthetic data" if any("synthetic" in title for title, _ in settings) else ""
    return f"The highest mAP in {counted(len(settings), 'setting')}{synthetic}: {listed(names)}."


def _one(title: str, values: Mapping[str, Number]) -> str:
    ranked = sorted((name for name in values if name != CHANCE), key=lambda name: -values[name].value)
    first, *others = ranked
    told = (
        f"{title}: {first} has {'the highest' if others else 'an'} mAP{',' if others else ' of'} {values[first].text}"
    )
    told += f", before {others[0]} with {values[others[0]].text}" if others else ""
    return told + (f"; chance is {values[CHANCE].text}." if CHANCE in values else ".")


def _settings(table: Table) -> Iterator[tuple[str, dict[str, Number]]]:
    """Yield title and name -> mAP of each setting: one of a table with a row a method, else many."""
    places = [place for place, column in enumerate(table.columns) if column.title == METRICS["mAP"]]
    if not places:
        return
    if table.columns[0].title == "protocol":
        found = [(f"{row[0]}, {table.title}", {table.columns[p].group: row[p] for p in places}) for row in table.rows]
    else:
        first = places[0]  # behind Rank-1 in some tables; of a mean over settings where there is one
        group = table.columns[first].group
        heading = f"{table.title}, {group}" if group else table.title
        found = [(heading, {str(row[0]): row[first] for row in table.rows})]
    for title, cells in found:
        values = {name: cell for name, cell in cells.items() if isinstance(cell, Number)}
        if values.keys() - {CHANCE}:
            yield title, values
