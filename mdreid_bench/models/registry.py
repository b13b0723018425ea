"""Methods by name, found through the entry-point group ``mdreid_bench.methods``."""

from functools import cache
from importlib.metadata import EntryPoint, entry_points

from mdreid_bench.errors import UsageError
from mdreid_bench.models.method import Method, MethodCard
from protocols.names import UnknownNameError

GROUP = "mdreid_bench.methods"


@cache
def _found() -> dict[str, EntryPoint]:
    found: dict[str, EntryPoint] = {}
    for entry in entry_points(group=GROUP):
        if entry.name in found and found[entry.name].value != entry.value:
            raise UsageError(
                f"Two methods are registered as {entry.name!r}: {found[entry.name].value} and {entry.value}; "
                "uninstall one of them."
            )
        found[entry.name] = entry
    return found


def names() -> tuple[str, ...]:
    """Return the names of all registered methods, sorted."""
    return tuple(sorted(_found()))


def get(name: str) -> type[Method]:
    """Import and return the method class registered under ``name``.

    Raises:
        UnknownNameError: when nothing is registered under it.
        UsageError: when the registered class does not import or is not a method.
    """
    if name not in _found():
        raise UnknownNameError("method", name, names())
    try:
        loaded = _found()[name].load()
    except (ImportError, AttributeError) as error:
        raise UsageError(f"The method {name!r} cannot be imported: {error}.") from None
    if not (isinstance(loaded, type) and issubclass(loaded, Method)):
        raise UsageError(f"The entry point of method {name!r} does not name a subclass of Method.")
    return loaded


def cards() -> dict[str, MethodCard]:
    """Return the card of every registered method by name."""
    return {name: get(name).card for name in names()}
