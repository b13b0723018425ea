"""Which sensors the data set of a table has, and which protocols it can therefore not serve."""

from collections.abc import Iterable

from mdreid_bench.data import registry
from mdreid_bench.errors import UsageError
from protocols.modality import Modality
from protocols.names import UnknownNameError
from protocols.suites import resolve

NOT_APPLICABLE = "not applicable"


def sensors_of(dataset: str, protocols: Iterable[str]) -> Modality:
    """Return the sensors that a data set declares; where it is not installed, those that its protocols name."""
    declared = _declared(dataset)
    return _named(protocols) if declared is None else declared


def unserved(dataset: str, protocols: Iterable[str]) -> str | None:
    """Say why a data set cannot serve all of some protocols; None when it can, or when it is not installed."""
    declared = _declared(dataset)
    lacking = Modality(0) if declared is None else _named(protocols) & ~declared
    return f"{NOT_APPLICABLE}: {dataset} has no {', no '.join(map(str, lacking))}" if lacking else None


def _declared(dataset: str) -> Modality | None:
    try:
        return registry.get(dataset).card.sensors
    except (UnknownNameError, UsageError):
        return None


def _named(protocols: Iterable[str]) -> Modality:
    """Return all sensors that protocols name; mixed availability, and what only a newer version knows, name none."""
    found = Modality(0)
    for protocol in protocols:
        try:
            (setting,) = resolve([protocol])
        except UnknownNameError:
            continue
        found |= setting.needs
    return found
