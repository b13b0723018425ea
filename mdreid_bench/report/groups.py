"""Which records may share a table."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from mdreid_bench.models.mdreid.ablation import is_ablated
from mdreid_bench.report.origin import missing, reranking
from mdreid_bench.report.sensors import sensors_of
from mdreid_bench.report.variants import Variant, group_variants
from mdreid_bench.results.schema import Record
from protocols.modality import Modality

Locate = Callable[[Record], Path]
"""Gives the path of what is stored of a record."""
PAPER_ORDER = ("rgbnt201", "rgbnt100", "msvr310")


@dataclass(frozen=True)
class Group:
    """Records of one dataset that are alike in all that makes numbers comparable, but perhaps in the images.

    Attributes:
        records: at least one; all share dataset, kind of data, limit, form of average precision and re-ranking.
    """

    records: Sequence[Record]

    @property
    def dataset(self) -> str:
        """Name of the dataset."""
        return self.records[0].dataset

    @property
    def synthetic(self) -> bool:
        """Whether the images were generated."""
        return self.records[0].data_kind == "synthetic"

    @property
    def limit(self) -> int | None:
        """The ``--limit`` in force."""
        return self.records[0].limit

    @property
    def reranked(self) -> bool:
        """Whether the galleries were re-ranked after the comparison."""
        return self.records[0].rerank is not None

    @cached_property
    def sensors(self) -> Modality:
        """The sensors that the data set has."""
        return sensors_of(self.dataset, {record.protocol for record in self.records})

    @property
    def marks(self) -> list[str]:
        """What sets these numbers apart from those on the full published data; empty when nothing does."""
        marks = ["synthetic"] if self.synthetic else []
        if self.limit is not None:
            marks.append(f"limit {self.limit}")
        if mark := missing(self.records[0]):
            marks.append(mark)
        if self.records[0].average_precision != "standard":
            marks.append(f"{self.records[0].average_precision} AP")
        if self.reranked:
            marks.append(reranking(self.records[0]))
        return marks

    @property
    def title(self) -> str:
        """Dataset and marks."""
        return f"{self.dataset} ({', '.join(self.marks)})" if self.marks else self.dataset

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
        ablated = [is_ablated(record.method, record.options) for record in self.records]
        whole = {record.method for record, left_out in zip(self.records, ablated, strict=True) if not left_out}
        pairs = zip(self.records, ablated, strict=True)
        return [record for record, left_out in pairs if not (left_out and record.method in whole)]


def group_records(records: Iterable[Record]) -> list[Group]:
    """Group records: real data first, datasets in the order of the paper, full test sets before limited ones."""
    groups: dict[tuple[str, str, int | None, str, str, str], list[Record]] = {}
    for record in records:
        form = (record.average_precision, record.rerank or "", missing(record))
        key = (record.data_kind, record.dataset, record.limit, *form)
        groups.setdefault(key, []).append(record)
    return [Group(groups[key]) for key in sorted(groups, key=_rank)]


def _rank(key: tuple[str, str, int | None, str, str, str]) -> tuple[object, ...]:
    kind, dataset, limit, *form = key
    place = PAPER_ORDER.index(dataset) if dataset in PAPER_ORDER else len(PAPER_ORDER)
    return (kind, place, dataset, limit is not None, -(limit or 0), *form)
