"""How the results of a protocol are measured, beyond the protocol itself."""

from dataclasses import dataclass

from mdreid_bench.results.schema import CalibrationKind, Record
from protocols.corruption import Corruption
from protocols.evaluation import AveragePrecision
from protocols.reranking import Reranking


@dataclass(frozen=True)
class Form:
    """One way to measure; results of several lie side by side and are never averaged.

    Attributes:
        average_precision: standard, or the trapezoid form of older tables.
        reranking: what is made of the ranking before it is evaluated; None leaves it as it is.
        corruption: of the test images; None leaves them as they are.
        calibration: ``standardised`` makes scores of different subsets of sensors comparable; ``none`` leaves them.
    """

    average_precision: AveragePrecision = "standard"
    reranking: Reranking | None = None
    corruption: Corruption | None = None
    calibration: CalibrationKind = "none"

    @property
    def rerank(self) -> str | None:
        """The name of the re-ranking in records and files."""
        return None if self.reranking is None else self.reranking.name

    def cell(self, protocol: str) -> str:
        """Return the name of a cell's files, without suffix."""
        return _cell(protocol, self.average_precision, self.rerank, self.corruption, self.calibration)

    def is_of(self, record: Record) -> bool:
        """Tell whether a record was measured in this way."""
        return cell_of(record) == self.cell(record.protocol)


PLAIN = Form()


def cell_of(record: Record) -> str:
    """Return the name of the files of a record's cell, without suffix."""
    corruption = record.corruption.spec if record.corruption else None
    return _cell(record.protocol, record.average_precision, record.rerank, corruption, record.calibration)


def _cell(
    protocol: str,
    average_precision: AveragePrecision,
    rerank: str | None,
    corruption: Corruption | None,
    calibration: CalibrationKind,
) -> str:
    form = "" if average_precision == "standard" else f".{average_precision}"
    form += f".rerank-{rerank}" if rerank else ""
    form += "" if calibration == "none" else f".{calibration}"
    return protocol + form + (f".corrupt-{corruption.cell}" if corruption else "")
