"""Named presets: YAML files in this folder; one that ``extends`` another is laid over it."""

from collections.abc import Iterator
from functools import cache
from importlib import resources
from typing import Any

import yaml

from mdreid_bench.config.tree import Tree, merge
from protocols.names import UnknownNameError


def names() -> tuple[str, ...]:
    """Return the names of all presets, sorted."""
    files = resources.files(__package__).iterdir()
    return tuple(sorted(f.name.removesuffix(".yaml") for f in files if f.name.endswith(".yaml")))


SMALLEST, FULL = "tiny", "paper"


def usual(synthetic: bool, cuda: bool) -> str:
    """Return the preset that is taken when none is named: the full one on real data with a GPU, else the smallest."""
    return FULL if cuda and not synthetic else SMALLEST


def describe(name: str) -> str:
    """Return the one-line summary of a preset."""
    return str(_load(name)["summary"])


def lineage(name: str) -> tuple[str, ...]:
    """Return the presets that a preset consists of, the one that it extends first; recipes of methods follow it.

    Raises:
        UnknownNameError: when there is no preset of that name.
    """
    below = _load(name).get("extends")
    return (*lineage(below), name) if below else (name,)


def load(name: str) -> Tree:
    """Return the configuration tree of a preset.

    Raises:
        UnknownNameError: when there is no preset of that name.
    """
    tree: Tree = {}
    for layer in lineage(name):
        tree = merge(tree, _load(layer)["config"])
    return tree


def sources(name: str) -> dict[str, str]:
    """Return dotted key -> source for every value of a preset: the comment behind it in the file.

    Raises:
        UnknownNameError: when there is no preset of that name.
    """
    found: dict[str, str] = {}
    for layer in lineage(name):
        text = _text(layer)
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        assert root is not None
        found |= _comments(root, text.splitlines(), ("config",))
    return found


def _comments(
    node: yaml.Node, lines: list[str], path: tuple[str, ...], prefix: str = ""
) -> Iterator[tuple[str, str]]:
    """Yield the dotted keys below a path and what is written behind their values."""
    for key, value in node.value:
        if path:
            if key.value == path[0]:
                yield from _comments(value, lines, path[1:])
        elif isinstance(value, yaml.MappingNode):
            yield from _comments(value, lines, (), f"{prefix}{key.value}.")
        else:
            end = value.end_mark
            comment = lines[end.line][end.column :].partition("#")[2].strip()
            if comment:
                yield prefix + key.value, comment


@cache
def _load(name: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(_text(name))
    return content


def _text(name: str) -> str:
    if name not in names():
        raise UnknownNameError("preset", name, names())
    return resources.files(__package__).joinpath(f"{name}.yaml").read_text(encoding="utf-8")
