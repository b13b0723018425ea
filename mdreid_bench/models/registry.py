"""Methods by name, found through the entry-point group ``mdreid_bench.methods``.

An entry point names the card of a method, which costs no import of torch, or the class itself.
"""

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
    return _own(name, loaded) if isinstance(loaded, MethodCard) else get(name).card


def cards() -> dict[str, MethodCard]:
    """Return the card of every registered method by name."""
    return {name: card(name) for name in names()}


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
    card = _own(name, getattr(found, "card", None))
    if card.trains and not found.separable() and found.training_losses is Method.training_losses:
        raise UsageError(f"The method {name!r} trains, as its card says, but has neither losses nor training_losses.")
    return found


def _own(name: str, found: object) -> MethodCard:
    """Return a card, which must be that of the method registered under ``name``."""
    if not isinstance(found, MethodCard) or found.name != name:
        called = f"calls itself {found.name!r} in it" if isinstance(found, MethodCard) else "has none"
        raise UsageError(f"The method {name!r} needs a card of this name, but {called}.")
    return found
