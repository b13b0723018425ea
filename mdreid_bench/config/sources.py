"""Where the values of a configuration come from, for whoever reads it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mdreid_bench.config.tree import Tree


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


def sources(tree: Mapping[str, Any], otherwise: str, prefix: str = "") -> dict[str, str]:
    """Return dotted key -> source for every value of a recipe.

    Args:
        tree: with or without citations.
        otherwise: source of a value without one.
        prefix: of the dotted keys.
    """
    found: dict[str, str] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            found |= sources(value, otherwise, f"{prefix}{key}.")
        else:
            found[prefix + key] = value.source if isinstance(value, Cited) else otherwise
    return found
