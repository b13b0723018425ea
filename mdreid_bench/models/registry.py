"""Methods by name, found through the entry-point group ``mdreid_bench.methods``."""

from mdreid_bench.models.method import Method, MethodCard
from mdreid_bench.plugins import Plugins

GROUP = "mdreid_bench.methods"
_REGISTERED: Plugins[Method] = Plugins(GROUP, "method", Method)  # type: ignore[type-abstract]


def names() -> tuple[str, ...]:
    """Return the names of all registered methods, sorted."""
    return _REGISTERED.names()


def get(name: str) -> type[Method]:
    """Import and return the method class registered under ``name``.

    Raises:
        UnknownNameError: when nothing is registered under it.
        UsageError: when the registered class does not import or is not a method.
    """
    return _REGISTERED.get(name)


def cards() -> dict[str, MethodCard]:
    """Return the card of every registered method by name."""
    return {name: get(name).card for name in names()}
