"""A complete configuration as YAML that explains itself: what each value is for, and where it comes from."""

import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

import yaml
from pydantic import BaseModel

from mdreid_bench.config import presets
from mdreid_bench.config.resolve import Overrides, Recipes
from mdreid_bench.config.schema import RunConfig
from mdreid_bench.config.sources import sources

_WIDTH = 110
_CHOSEN_ELSEWHERE = ("method", "dataset", "preset", "sources")
_BY_USER = "set by the user"


def origins(method: str, recipes: Recipes, dataset: str, preset: str, overrides: Overrides) -> dict[str, str]:
    """Return dotted key -> source for every value that a layer sets, the topmost layer speaking.

    Raises:
        UnknownNameError: for an unknown preset.
        UsageError: for an assignment that cannot be read.
    """
    found = presets.sources(preset)
    for own in (recipes.get(layer, {}) for layer in presets.lineage(preset)):
        found |= sources(own.get("*", {}), f"recipe of {method}")
        found |= sources(own.get(dataset, {}), f"recipe of {method} for {dataset}")
    found |= sources(overrides.tree(), _BY_USER)
    if found.get("schedule.epochs") == _BY_USER != found.get("schedule.warmup"):
        found["schedule.warmup"] += "; shortened in proportion where there are fewer epochs"
    return found


def explained(config: RunConfig, options_model: type[BaseModel], origin: Mapping[str, str]) -> Iterator[str]:
    """Yield the lines of a YAML file with every value of a configuration, each below its description and source.

    The file can be given to ``--config``; method, dataset and preset are in its first line. Sources are those of
    :func:`origins`.
    """
    yield f"# {config.method} on {config.dataset}, preset {config.preset}"
    yield ""
    tree = config.model_dump(mode="json")
    for name in RunConfig.model_fields:
        if name in _CHOSEN_ELSEWHERE:
            continue
        if isinstance(tree[name], dict):
            model = options_model if name == "options" else type(getattr(config, name))
            yield f"{name}:" if tree[name] else f"{name}: {{}}"
            for key, value in tree[name].items():
                yield from _entry(model, key, value, origin.get(f"{name}.{key}"), "  ")
        else:
            yield from _entry(RunConfig, name, tree[name], origin.get(name), "")
        yield ""


def _entry(model: type[BaseModel], key: str, value: Any, source: str | None, indent: str) -> Iterator[str]:
    """Yield the description and the source of one key as comments, and the key with its value."""
    field = model.model_fields.get(key)
    remarks = [field.description if field is not None else None, source and f"source: {source}"]
    for remark in filter(None, remarks):
        yield from textwrap.wrap(remark, _WIDTH, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}#   ")
    dumped = yaml.safe_dump({key: value}, default_flow_style=None, width=10_000, allow_unicode=True)
    yield indent + dumped.strip().removeprefix("{").removesuffix("}")
