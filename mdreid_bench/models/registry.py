"""Methods by name, found through the entry-point group ``mdreid_bench.methods``.

An entry point names the card of a method, which costs no import of torch, or the class itself.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from mdreid_bench.errors import UsageError
from mdreid_bench.models.card import MethodCard
from mdreid_bench.plugins import Plugins

if TYPE_CHECKING:
    from mdreid_bench.models.method import Method

GROUP = "mdreid_bench.methods"
_REGISTERED = Plugins(GROUP, "method")


def names() -> tuple[str, ...]:
    """Return the names of all registered methods, sorted."""
    return _REGISTERED.names()


def card(name: str) -> MethodCard:
    """Return the card of the method registered under ``name``.

    Raises:
        UnknownNameError: when nothing is registered under it.
        UsageError: when what is registered does not import or is not a method.
    """
    loaded = _REGISTERED.load(name)
    return _REGISTERED.own_card(name, loaded, MethodCard) if isinstance(loaded, MethodCard) else get(name).card


def cards(warn: Callable[[str], None] | None = None) -> dict[str, MethodCard]:
    """Return the card of every registered method by name.

    Args:
        warn: told of each method whose card cannot be had, which is left out; without it, that is an error.
    """
    return _REGISTERED.usable(card, warn)


def runnable(warn: Callable[[str], None]) -> list[str]:
    """Return the names of all methods that can be used; ``warn`` is told of the others.

    The code of our own is not imported for it, because that is what the tests are for.
    """

    def found(name: str) -> object:
        return card(name) if _REGISTERED.own(name) else get(name)

    return list(_REGISTERED.usable(found, warn))


def usable(warn: Callable[[str], None]) -> "dict[str, type[Method]]":
    """Return every method that can be used by name; ``warn`` is told of the others."""
    return _REGISTERED.usable(get, warn)


def get(name: str) -> "type[Method]":
    """Import and return the method class registered under ``name``.

    Raises:
        UnknownNameError: when nothing is registered under it.
        UsageError: when what is registered does not import or is not a method.
    """
    from mdreid_bench.models.method import Method

    loaded = _REGISTERED.load(name)
    if isinstance(loaded, MethodCard):
        loaded = _REGISTERED.imported(name, loaded.target)
    found: type[Method] = _REGISTERED.checked(name, loaded, Method)  # type: ignore[type-abstract]
    card = _REGISTERED.own_card(name, getattr(found, "card", None), MethodCard)
    if card.trains and not found.shareable() and found.training_losses is Method.training_losses:
        raise UsageError(
            f"{_REGISTERED.called(name)} trains, as its card says, but has neither losses nor training_losses."
        )
    return found
