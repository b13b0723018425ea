"""Which sensors the dataset of a table has, and which protocols it can therefore not serve."""

from collections.abc import Iterable

from mdreid_bench.report.titles import dataset_card
from protocols.modality import Modality
from protocols.names import UnknownNameError
from protocols.suites import resolve

NOT_APPLICABLE = "not applicable"


def sensors_of(dataset: str, protocols: Iterable[str]) -> Modality:
    """Return the sensors that a dataset declares; where it is not installed, those that its protocols name."""
    card = dataset_card(dataset)
    return _named(protocols) if card is None else card.sensors


def unserved(dataset: str, protocols: Iterable[str]) -> str | None:
    """Say why a dataset cannot serve all of some protocols; None when it can, or when it is not installed."""
    card = dataset_card(dataset)
    if card is None:
        return None
    lacking = _named(protocols) & ~card.sensors
    return f"{NOT_APPLICABLE}: {card.title} has no {' and no '.join(map(str, lacking))}" if lacking else None


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
