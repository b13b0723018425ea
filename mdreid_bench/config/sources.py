"""Where the values of a configuration come from, for whoever reads it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mdreid_bench.config.tree import Tree, leaves


@dataclass(frozen=True)
class Cited:
    """A value of a recipe together with its source."""

    value: Any
    source: str


def plain(tree: Mapping[str, Any]) -> Tree:
    """Return the values of a recipe without their sources."""
    result: Tree = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            result[key] = plain(value)
        else:
            result[key] = value.value if isinstance(value, Cited) else value
    return result


def sources(tree: Mapping[str, Any], otherwise: str) -> dict[str, str]:
    """Return dotted key -> source for every value of a recipe, ``otherwise`` for those without a citation."""
    return {key: value.source if isinstance(value, Cited) else otherwise for key, value in leaves(tree)}
