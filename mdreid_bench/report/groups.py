"""Which records may share a table."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from mdreid_bench.models.mdreid.ablation import is_ablated
from mdreid_bench.report.origin import data_marks, missing
from mdreid_bench.report.quantities import MAIN_METRICS, metrics_of
from mdreid_bench.report.sensors import sensors_of
from mdreid_bench.report.titles import data_title
from mdreid_bench.report.variants import Variant, group_variants, marked
from mdreid_bench.results.published import transfer
from mdreid_bench.results.schema import Record
from protocols.modality import Modality

Locate = Callable[[Record], Path]
"""Gives the path of what is stored of a record."""
PAPER_ORDER = ("rgbnt201", "rgbnt100", "msvr310")


@dataclass(frozen=True)
class Group:
    """Records of one dataset that are alike in all that makes numbers comparable, but perhaps in the images.

    Attributes:
        records: at least one; all share dataset, sources, kind of data, limit, form of AP and re-ranking.
        corrupted: those of corrupted test images that share the same; they stand in tables of their own alone.
        calibrated: those of calibrated scores that share the same; they stand beside the others where galleries are
            mixed or pooled, and nowhere else.
        asked: metrics that were asked for; none for those that each table has anyway.
    """

    records: Sequence[Record]
    corrupted: Sequence[Record] = ()
    calibrated: Sequence[Record] = ()
    asked: tuple[str, ...] = ()

    @property
    def metrics(self) -> tuple[str, ...]:
        """Those of a table that has room for all that papers on the dataset print."""
        return self.asked or metrics_of(self.dataset)

    @property
    def main_metrics(self) -> tuple[str, ...]:
        """Those of a table that has no room for all."""
        return self.asked or MAIN_METRICS

    @property
    def main_metric(self) -> tuple[str, ...]:
        """Those of a table that has room for one; there are as many such tables."""
        return self.asked or MAIN_METRICS[:1]

    @property
    def example(self) -> Record:
        """Any of the records; what all of them share can be read from it."""
        return self.records[0]

    @property
    def dataset(self) -> str:
        """Name of the dataset."""
        return self.example.dataset

    @property
    def printed(self) -> str:
        """What published figures of the like have for a dataset, such as ``rgbnt100->wmveid863``."""
        return transfer(self.example.sources, self.dataset)

    @cached_property
    def sensors(self) -> Modality:
        """The sensors that the dataset has."""
        return sensors_of(self.dataset, {record.protocol for record in self.records})

    @property
    def marks(self) -> list[str]:
        """What sets these numbers apart from those on the full published data; empty when nothing does."""
        return data_marks(self.example)

    @property
    def ours(self) -> str:
        """Heading of what was measured, beside what is published."""
        return marked("ours", self.marks)

    @property
    def title(self) -> str:
        """Dataset and marks."""
        return marked(data_title(self.example), self.marks)

    @property
    def note(self) -> str:
        """What to say below tables of :attr:`variants` when they are not all; may be empty."""
        aside = len(self.records) - len(self._proposed)
        return f"{aside} records of ablated variants are left out here; see the ablation." if aside else ""

    @cached_property
    def variants(self) -> list[Variant]:
        """The methods as proposed; ablated variants of a method only where it has no other records."""
        return group_variants(self._proposed)

    @cached_property
    def _proposed(self) -> list[Record]:
        ablated = [(record, is_ablated(record.method, record.options)) for record in self.records]
        whole = {record.method for record, left_out in ablated if not left_out}
        return [record for record, left_out in ablated if not (left_out and record.method in whole)]


def group_records(records: Iterable[Record], metrics: Sequence[str] = ()) -> list[Group]:
    """Group records: real data first, datasets in the order of the paper, full test sets before limited ones.

    Records of corrupted images without any of the images as they are beside them are left out. The tables have these
    ``metrics``, where any are named.
    """
    groups: dict[tuple[object, ...], list[Record]] = {}
    corrupted: dict[tuple[object, ...], list[Record]] = {}
    calibrated: dict[tuple[object, ...], list[Record]] = {}
    for record in records:
        kind = corrupted if record.corruption else groups if record.calibration == "none" else calibrated
        kind.setdefault(_rank(record), []).append(record)
    for rank in calibrated.keys() - groups.keys():
        groups[rank] = calibrated.pop(rank)
    others = [(corrupted.get(rank, ()), calibrated.get(rank, ())) for rank in sorted(groups)]
    return [Group(groups[rank], *aside, tuple(metrics)) for rank, aside in zip(sorted(groups), others, strict=True)]


def _rank(record: Record) -> tuple[Any, ...]:
    dataset, limit = record.dataset, record.limit
    place = PAPER_ORDER.index(dataset) if dataset in PAPER_ORDER else len(PAPER_ORDER)
    form = (record.average_precision, record.rerank or "", missing(record))
    return (record.data_kind, place, dataset, record.sources, limit is not None, -(limit or 0), *form)
