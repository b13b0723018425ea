"""What may be registered as a method: a card that names a class, or the class itself."""

from dataclasses import replace
from importlib.metadata import EntryPoint

import pytest

import mdreid_bench.plugins
from baselines.cards import RANDOM
from baselines.random_scorer import RandomScorer
from mdreid_bench.errors import UsageError
from mdreid_bench.models import registry
from mdreid_bench.models.mdreid.card import CARD
from mdreid_bench.plugins import Plugins


class Scorer(RandomScorer):
    """A plug-in whose entry point names the class."""

    card = replace(RANDOM, name="Scorer", target="")


class Untaught(RandomScorer):
    """Says that it trains, and has no losses."""

    card = replace(RANDOM, name="untaught", trains=True)


class Cardless(RandomScorer):
    """Has the card of another method."""


ASTRAY = replace(CARD, name="astray", target="mdreid_bench.models.mdreid.card:MDReIDOptions")
NOWHERE = replace(CARD, name="nowhere", target="no.such.module:Thing")


@pytest.fixture(autouse=True)
def _registered(monkeypatch: pytest.MonkeyPatch) -> None:
    values = {
        "Scorer": "Scorer",
        "untaught": "Untaught",
        "cardless": "Cardless",
        "astray": "ASTRAY",
        "nowhere": "NOWHERE",
    }
    entries = [EntryPoint(name, f"{__name__}:{value}", registry.GROUP) for name, value in values.items()]
    entries.append(EntryPoint("mdreid", "mdreid_bench.models.mdreid.card:CARD", registry.GROUP))
    monkeypatch.setattr(mdreid_bench.plugins, "entry_points", lambda group: entries)
    monkeypatch.setattr(registry, "_REGISTERED", Plugins(registry.GROUP, "method"))


def test_a_card_and_its_class_say_the_same() -> None:
    assert registry.card("mdreid") is CARD
    assert registry.get("mdreid").card is CARD
    assert registry.card("Scorer") is Scorer.card
    assert registry.get("Scorer") is Scorer


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("untaught", "trains, as its card says, but has neither losses nor training_losses"),
        ("cardless", "'cardless' needs a card of this name, but calls itself 'random' in it"),
        ("astray", "is no subclass of Method"),
        ("nowhere", "'nowhere' cannot be imported"),
    ],
)
def test_what_cannot_be_a_method_is_refused(name: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        registry.get(name)
