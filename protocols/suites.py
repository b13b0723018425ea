"""Named groups of protocols, and the names that stand for a setting on the command line."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import TypeAlias

from protocols.mixed import EXAMPLES, MixedAvailability
from protocols.modality import ALL_MODALITIES
from protocols.names import UnknownNameError
from protocols.protocol import ALL_PROTOCOLS, Protocol

Setting: TypeAlias = Protocol | MixedAvailability
"""What decides the sensors of each query and gallery item; ask it with ``setting.subsets(side, keys)``."""


def _protocols(text: str) -> tuple[Protocol, ...]:
    return tuple(Protocol.parse(name) for name in text.split())


SUITES: Mapping[str, tuple[Protocol, ...]] = MappingProxyType(
    {
        "all": ALL_PROTOCOLS,
        "matched": tuple(p for p in ALL_PROTOCOLS if p.matched),
        "mismatched": tuple(p for p in ALL_PROTOCOLS if not p.matched),
        "missing": tuple(p for p in ALL_PROTOCOLS if p.matched and p.query != ALL_MODALITIES),
        "paper-matched": _protocols("RNT-to-RNT"),
        "paper-mismatched": _protocols("RT-to-NT RT-to-N R-to-N R-to-NT"),
        "ablation": _protocols("RNT-to-RNT RT-to-RT RT-to-NT RT-to-N R-to-N R-to-NT"),
    }
)
"""Suites by name. ``missing`` is "missing at test time": the same subset, but not all three, on both sides."""


def parse_setting(text: str) -> Setting:
    """Read one protocol such as ``"R-to-NT"``, or ``"mixed"`` in any of its forms; the inverse of ``str``.

    Raises:
        UnknownNameError: when the text is neither.
    """
    if text.strip().lower().startswith("mixed"):
        return MixedAvailability.parse(text)
    return Protocol.parse(text)


def resolve(names: Iterable[str]) -> tuple[Setting, ...]:
    """Turn names of protocols, suites and mixed settings into settings: in order of mention, each once.

    Raises:
        UnknownNameError: for a name that is none of these; the message lists the suites and some protocols.
    """
    found: dict[Setting, None] = {}
    for name in names:
        found.update(dict.fromkeys(_named(name)))
    return tuple(found)


def _named(name: str) -> tuple[Setting, ...]:
    """Return the settings that one name stands for."""
    key = name.strip().lower()
    if key in SUITES:
        return SUITES[key]
    if key.startswith("mixed"):
        return (MixedAvailability.parse(name),)
    try:
        return (Protocol.parse(name),)
    except UnknownNameError as error:
        valid = [*SUITES, *map(str, ALL_PROTOCOLS), *EXAMPLES]
        shown = [f"the suites {', '.join(SUITES)}", "protocols such as RNT-to-RNT or R-to-NT", EXAMPLES[0]]
        raise UnknownNameError("protocol or suite", name, valid, shown) from error
