"""Named groups of protocols, and the names that stand for a setting on the command line."""

from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType
from typing import TypeAlias

from protocols.mixed import EXAMPLES, MixedAvailability
from protocols.modality import RNT, Modality
from protocols.names import UnknownNameError
from protocols.pooled import POOLED, PooledGallery
from protocols.protocol import Protocol, guessed, protocols_of

Setting: TypeAlias = Protocol | MixedAvailability | PooledGallery
"""What decides the sensors of each query and gallery item; ask it with ``setting.subsets(side, keys, sensors)``."""

Suite: TypeAlias = Callable[[Modality], tuple[Protocol, ...]]
"""The protocols of a suite, for the sensors that a dataset has."""


def _listed(text: str) -> Suite:
    """Return a suite that is the same whatever the sensors; a dataset that lacks one cannot serve all of it."""
    protocols = tuple(Protocol.parse(name) for name in text.split())
    return lambda sensors: protocols


class BrokenSuiteError(ValueError):
    """A registered suite that cannot be used; the message says which and why."""


def _named_by(entry: EntryPoint) -> Suite:
    """Return the suite of an entry point, which is imported when its protocols are asked for."""
    called = f"The suite {entry.name!r}" + (f" of the package {entry.dist.name}" if entry.dist else "")

    def protocols(sensors: Modality) -> tuple[Protocol, ...]:
        try:
            function = entry.load()
        except Exception as error:  # whatever its module does
            why = str(error).rstrip(".") or type(error).__name__
            raise BrokenSuiteError(f"{called} cannot be imported: {why}.") from error
        found = tuple(function(sensors)) if callable(function) else (function,)
        if not all(isinstance(protocol, Protocol) for protocol in found):
            raise BrokenSuiteError(f"{called} is no function that returns protocols; correct its entry point.")
        return found

    return protocols


GROUP = "mdreid_bench.suites"
"""Entry points that name a function from the sensors of a dataset to protocols."""
_OWN: Mapping[str, Suite] = {
    "all": protocols_of,
    "matched": lambda sensors: tuple(p for p in protocols_of(sensors) if p.matched),
    "mismatched": lambda sensors: tuple(p for p in protocols_of(sensors) if not p.matched),
    "missing": lambda sensors: tuple(p for p in protocols_of(sensors) if p.matched and p.query != sensors),
    "overview": _listed("RNT-to-RNT RT-to-NT RT-to-N R-to-N R-to-NT"),
    "paper-matched": _listed("RNT-to-RNT"),
    "paper-mismatched": _listed("RT-to-NT RT-to-N R-to-N R-to-NT"),
    "ablation": _listed("RNT-to-RNT RT-to-RT RT-to-NT RT-to-N R-to-N R-to-NT"),
}
"""``missing`` is "missing at test time": the same sensors on both sides, but not all there are."""
SUITES: Mapping[str, Suite] = MappingProxyType(
    {**_OWN, **{entry.name: _named_by(entry) for entry in entry_points(group=GROUP) if entry.name not in _OWN}}
)
"""Suites by name: our own, then those that are registered under :data:`GROUP`."""


def suite(name: str, sensors: Modality = RNT) -> tuple[Protocol, ...]:
    """Return the protocols of a suite for some sensors.

    Raises:
        UnknownNameError: for an unknown suite.
    """
    if name not in SUITES:
        raise UnknownNameError("suite", name, SUITES)
    return SUITES[name](sensors)


def usable_suites(sensors: Modality, warn: Callable[[Exception], None]) -> dict[str, tuple[Protocol, ...]]:
    """Return the protocols of every suite by name; ``warn`` is told what is wrong with each that is left out."""
    found = {}
    for name in SUITES:
        try:
            found[name] = suite(name, sensors)
        except Exception as error:  # whatever the code of others does
            warn(error)
    return found


def resolve(names: Iterable[str], sensors: Modality = RNT) -> tuple[Setting, ...]:
    """Turn names of protocols, suites, mixed and pooled settings into settings: in order of mention, each once.

    Args:
        names: as typed.
        sensors: those of the dataset, which decide what the suites hold. A protocol may name others.

    Raises:
        UnknownNameError: for a name that is none of these; the message lists the suites and some protocols.
    """
    found: dict[Setting, None] = {}
    for name in names:
        found.update(dict.fromkeys(_named(name, sensors)))
    return tuple(found)


def _named(name: str, sensors: Modality) -> tuple[Setting, ...]:
    """Return the settings that one name stands for."""
    key = name.strip().lower()
    if key in SUITES:
        return SUITES[key](sensors)
    if key.startswith("mixed"):
        return (MixedAvailability.parse(name),)
    if key == POOLED:
        return tuple(map(PooledGallery, sensors))
    if key.startswith(POOLED):
        return (PooledGallery.parse(name),)
    try:
        return (Protocol.parse(name),)
    except UnknownNameError as error:
        valid = [*SUITES, *map(str, protocols_of(sensors)), *EXAMPLES, POOLED]
        shown = [f"the suites {', '.join(SUITES)}", "protocols such as RNT-to-RNT or R-to-NT", EXAMPLES[0], POOLED]
        raise UnknownNameError("protocol or suite", name, valid, shown, guessed(name)) from error
