"""Options on how cells are scored, shared by the commands that score."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, get_args

import typer

from mdreid_bench.errors import UsageError
from protocols.evaluation import AveragePrecision
from protocols.mixed import MixedAvailability
from protocols.names import UnknownNameError
from protocols.suites import Setting, resolve

SCORING_PANEL = "Scoring"
DEFAULT_BUDGET = "1GiB"
PLAIN_MIXED = "mixed"
_UNITS = {"": 1, "B": 1}
_UNITS |= {f"{prefix}B": 1000**power for power, prefix in enumerate("KMGT", start=1)}
_UNITS |= {f"{prefix}IB": 1024**power for power, prefix in enumerate("KMGT", start=1)}
_SIZE = re.compile(r"(\d{1,15}(?:\.\d{1,15})?)\s*([A-Z]*)")

MemoryBudget = Annotated[
    str,
    typer.Option(
        "--memory-budget",
        help="Memory for scores, such as 500MB or 2GiB; changes no number.",
        rich_help_panel=SCORING_PANEL,
    ),
]
AveragePrecisionName = Annotated[
    str,
    typer.Option(
        "--average-precision",
        help="standard, or trapezoid as in older tables (Market-1501 MATLAB code).",
        rich_help_panel=SCORING_PANEL,
    ),
]
Mix = Annotated[
    float | None,
    typer.Option(
        "--mix",
        help="Chance of each sensor being present under --protocol mixed. Default: 0.5.",
        rich_help_panel=SCORING_PANEL,
        show_default=False,
    ),
]
MixSeed = Annotated[
    int | None,
    typer.Option(
        "--mix-seed",
        help="Number of the draw under --protocol mixed. Default: 0.",
        rich_help_panel=SCORING_PANEL,
        show_default=False,
        min=0,
    ),
]


@dataclass(frozen=True)
class Scoring:
    """What is to be scored and how, resolved and checked.

    Attributes:
        settings: protocols and mixed settings, each once.
        average_precision: the form of AP.
        memory_budget: bytes for scores.
    """

    settings: tuple[Setting, ...]
    average_precision: AveragePrecision
    memory_budget: int

    @classmethod
    def parse(
        cls,
        protocols: Iterable[str],
        mix: float | None,
        mix_seed: int | None,
        average_precision: str,
        memory_budget: str,
    ) -> "Scoring":
        """Check the options as typed.

        Raises:
            UnknownNameError: for an unknown protocol or average precision.
            UsageError: for another value that makes no sense.
        """
        return cls(
            resolve(with_mix(protocols, mix, mix_seed)),
            average_precision_of(average_precision),
            parse_size(memory_budget),
        )


def average_precision_of(name: str) -> AveragePrecision:
    """Return the form of AP of this name.

    Raises:
        UnknownNameError: when there is none.
    """
    forms: tuple[AveragePrecision, ...] = get_args(AveragePrecision)
    for form in forms:
        if name.lower() == form:
            return form
    raise UnknownNameError("average precision", name, forms)


def with_mix(protocols: Iterable[str], mix: float | None, mix_seed: int | None) -> list[str]:
    """Put the probability and the seed of ``--mix`` and ``--mix-seed`` into each plain ``mixed``.

    Raises:
        UsageError: when there is no plain ``mixed`` to put them into, or the probability is out of range.
    """
    names = [name.strip() for name in protocols]
    if mix is None and mix_seed is None:
        return names
    plain = [name.lower() == PLAIN_MIXED for name in names]
    if not any(plain):
        raise UsageError("--mix and --mix-seed are for --protocol mixed; add it, or leave them out.")
    probability = MixedAvailability.probability if mix is None else mix
    if not 0 < probability <= 1:
        raise UsageError(f"--mix takes a probability above 0 and at most 1, not {probability:g}.")
    setting = str(MixedAvailability(probability, mix_seed or 0))
    return [setting if is_plain else name for name, is_plain in zip(names, plain, strict=True)]


def parse_size(text: str) -> int:
    """Read a number of bytes such as ``"1GiB"``, ``"500 MB"`` or ``"1048576"``; the case does not matter.

    Raises:
        UsageError: for another form, an unknown unit or less than one byte.
    """
    found = _SIZE.fullmatch(text.strip().upper())
    if found is None or found[2] not in _UNITS:
        raise UsageError(f"--memory-budget takes a size such as 500MB or 1GiB, not {text!r}.")
    size = int(float(found[1]) * _UNITS[found[2]])
    if size < 1:
        raise UsageError(f"--memory-budget must be at least one byte, not {text!r}.")
    return size
