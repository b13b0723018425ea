"""Measurements as tidy rows, one a number, for whoever goes on with them in another program."""

import csv
import io
from collections.abc import Iterable, Iterator

from mdreid_bench.report.distractors import FIGURES
from mdreid_bench.report.variants import PERCENT
from mdreid_bench.results.open_set import OpenSet
from mdreid_bench.results.schema import Metrics, Record

Row = dict[str, str | int | float | None]


def tidy(records: Iterable[Record]) -> Iterator[Row]:
    """Yield a row for each metric of each record.

    ``value``, both ends of its 95 % interval (``low``, ``high``), its standard deviation over the splits of an open
    set (``spread``) and ``chance`` are percentages, unrounded. ``DIR1@FAR0.01`` is DIR at rank 1 for a FAR of 1 %.
    """
    for record in records:
        shared: Row = {
            "dataset": record.dataset,
            "data_kind": record.data_kind,
            "limit": record.limit,
            "split": record.split,
            "sources": "+".join(record.sources),
            "protocol": record.protocol,
            "corruption": record.corruption.name if record.corruption else None,
            "corrupted_side": record.corruption.side if record.corruption else None,
            "corruption_repetition": record.corruption.repetition if record.corruption else None,
            "rerank": record.rerank,
            "calibration": record.calibration,
            "average_precision": record.average_precision,
            "method": record.method,
            "preset": record.preset,
            "trunk": record.trunk,
            "seed": record.seed,
            "selection": record.selection,
            "distractors": None,
            "distractor_items": None,
        }
        for metric in Metrics.model_fields:
            if getattr(record.metrics, metric) is None:  # as Rank-20 in older records
                continue
            low, high = record.interval.mAP if metric == "mAP" and record.interval else (None, None)
            yield shared | {
                "metric": metric,
                "value": PERCENT * float(getattr(record.metrics, metric)),
                "low": None if low is None else PERCENT * low,
                "high": None if high is None else PERCENT * high,
                "chance": None if (chance := getattr(record.chance, metric)) is None else PERCENT * float(chance),
                "spread": None,
                "queries": record.counts.queries,
                "run": record.folder_name,
            }
        for row in (*_open_set(record.open_set), *_distractors(record)):
            yield shared | row | {"run": record.folder_name}


def _open_set(found: OpenSet | None) -> Iterator[Row]:
    """Yield what an open set adds to the rows of a record; ``queries`` are the fewest mated probes of a split."""
    if found is None:
        return
    for rank in found.ranks:
        for far in found.far:
            mean, spread, floor = (PERCENT * found.at(name, rank, far) for name in ("mean", "spread", "chance"))
            row: Row = {"metric": f"DIR{rank}@FAR{far:g}", "value": mean, "low": None, "high": None, "chance": floor}
            row |= {"spread": spread, "queries": found.mated[0]}
            yield row
            if rank == max(found.ranks):
                name = f"FNIR{rank}@FPIR{far:g}"
                yield row | {"metric": name, "value": PERCENT - mean, "chance": PERCENT - floor}


def _distractors(record: Record) -> Iterator[Row]:
    """Yield what growing galleries add to the rows of a record."""
    for found in record.distractors:
        for size in found.sizes:
            for metric, (bounds, floor) in FIGURES.items():
                low, high = getattr(size, bounds)
                yield {
                    "distractors": found.source,
                    "distractor_items": size.distractors,
                    "metric": metric,
                    "value": PERCENT * float(getattr(size, metric)),
                    "low": PERCENT * low,
                    "high": PERCENT * high,
                    "chance": PERCENT * float(getattr(size, floor)),
                    "spread": None,
                    "queries": record.counts.queries,
                }


def tidy_csv(records: Iterable[Record]) -> str:
    """Return the rows of :func:`tidy` as CSV; what there is not is empty."""
    rows = list(tidy(records))
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()
