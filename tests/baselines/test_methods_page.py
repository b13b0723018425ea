"""docs/methods.md has a row for every method and says of vectors what is measured."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch

from mdreid_bench.config.resolve import Overrides, resolve
from mdreid_bench.models import registry
from mdreid_bench.models.method import DataFacts
from protocols.modality import RNT, R
from tests.support import images

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "methods.md").read_text(encoding="utf-8")
SIZE = (64, 48)
LOST = "Training items that have lost sensors"


def rows(section: str) -> list[list[str]]:
    """Return the cells of the table of a section, heading and rule left out."""
    lines = PAGE.split(f"## {section}\n")[1].split("\n## ")[0].splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    return cells[2:]


def by_method(section: str) -> dict[str, list[str]]:
    return {re.findall(r"`([\w-]+)`", first)[0]: rest for first, *rest in rows(section)}


MEASURED = by_method("Missing sensors and vectors")


def test_every_method_of_a_paper_has_a_row() -> None:
    released = {name for name, card in registry.cards().items() if card.venue != "none"}
    assert released <= MEASURED.keys() == by_method("What they need").keys() <= set(registry.names())


def test_what_is_told_of_lost_sensors_is_what_methods_declare() -> None:
    told = {name: words for name, (words,) in by_method(LOST).items()}
    assert told == {name: registry.card(name).with_lost_sensors or "not trained" for name in MEASURED}


@pytest.mark.parametrize("name", MEASURED)
def test_vectors_are_as_long_as_stated(name: str) -> None:
    card = registry.card(name)
    usual = resolve(name, card.options_model, card.recipes, "rgbnt201", (256, 128), "paper", Overrides())
    flags: dict[str, Any] = {"trunk": {"pretrained": None}, "image": {"size": list(SIZE)}}
    if usual.trunk.name.startswith("ViT"):
        flags["trunk"]["layers"] = 1
    config = resolve(name, card.options_model, card.recipes, "rgbnt201", SIZE, "paper", Overrides(flags=flags))
    method = registry.get(name).build(config, DataFacts(2, 1)).eval()
    vectors = method.embed_all(images(1, size=SIZE), torch.zeros(1, dtype=torch.int64), (R, RNT))
    stated = int(MEASURED[name][-1])
    assert {vector.shape for vector in vectors.values()} == {(1, stated)}


def test_switches_exist_and_their_defaults_are_those_of_the_recipes() -> None:
    checked = 0
    for first, switch, _, default in rows("Released behaviours that are switches"):
        name, option = first.strip("`"), switch.strip("`").removeprefix("options.")
        if not switch.startswith("`options."):
            continue
        values = registry.card(name).options_model().model_dump()
        assert option in values, switch
        if default.startswith("`"):
            stated = re.findall(r"`([^`]+)`", default)[0]
            assert {"true": True, "false": False, "null": None}.get(stated, stated) == values[option], (name, option)
            checked += 1
    assert checked >= 9
