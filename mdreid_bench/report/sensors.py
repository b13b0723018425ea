"""Which sensors the dataset of a table has, and which protocols it can therefore not serve."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from functools import reduce
from operator import or_
from typing import Any

from mdreid_bench.report.titles import dataset_card, method_card
from protocols.modality import Modality
from protocols.names import UnknownNameError
from protocols.suites import Setting, resolve

NOT_APPLICABLE = "not applicable"


def sensors_of(dataset: str, protocols: Iterable[str]) -> Modality:
    """Return the sensors that a dataset declares; where it is not installed, those that its protocols name."""
    card = dataset_card(dataset)
    return card.sensors if card else reduce(or_, (setting.needs for setting in _settings(protocols)), Modality(0))


def unserved(dataset: str, protocols: Iterable[str]) -> str | None:
    """Say why a dataset cannot serve all of some protocols; None when it can, or when it is not installed."""
    card = dataset_card(dataset)
    if card is None:
        return None
    found = filter(None, (card.lacks(setting) for setting in _settings(protocols)))
    return next((f"{NOT_APPLICABLE}: {lacking}" for lacking in found), None)


def refused(method: str, options: Mapping[str, Any], sensors: Modality, protocols: Iterable[str]) -> str | None:
    """Say why a method does not serve all of some protocols; None when it does or is not installed.

    ``sensors`` are those of the dataset.
    """
    card = method_card(method)
    if card is None:
        return None
    found = (card.refusal(setting, options, sensors) for setting in _settings(protocols))
    return next((f"{NOT_APPLICABLE}: {reason}" for reason in found if reason), None)


def _settings(protocols: Iterable[str]) -> Iterator[Setting]:
    """Yield what protocols name; nothing for one that only a newer version knows."""
    for protocol in protocols:
        with suppress(UnknownNameError):
            yield from resolve([protocol])
