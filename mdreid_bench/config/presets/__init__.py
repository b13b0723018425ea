"""Named presets: YAML files in this folder."""

from functools import cache
from importlib import resources
from typing import Any

import yaml

from mdreid_bench.config.tree import Tree
from protocols.names import UnknownNameError


def names() -> tuple[str, ...]:
    """Return the names of all presets, sorted."""
    files = resources.files(__package__).iterdir()
    return tuple(sorted(f.name.removesuffix(".yaml") for f in files if f.name.endswith(".yaml")))


def describe(name: str) -> str:
    """Return the one-line summary of a preset."""
    return str(_load(name)["summary"])


def load(name: str) -> Tree:
    """Return the configuration tree of a preset.

    Raises:
        UnknownNameError: when there is no preset of that name.
    """
    return dict(_load(name)["config"])


@cache
def _load(name: str) -> dict[str, Any]:
    if name not in names():
        raise UnknownNameError("preset", name, names())
    text = resources.files(__package__).joinpath(f"{name}.yaml").read_text(encoding="utf-8")
    content: dict[str, Any] = yaml.safe_load(text)
    return content
