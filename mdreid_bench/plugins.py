"""Classes that this and other packages register under entry points, by name."""

from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from typing import Generic, TypeVar

from mdreid_bench.errors import UsageError
from protocols.names import UnknownNameError

T = TypeVar("T")


class Plugins(Generic[T]):
    """The subclasses of one base that are registered in an entry-point group; imported when asked for.

    Args:
        group: of the entry points.
        kind: what is registered, in one word, for messages.
        base: class that all must derive from.
    """

    def __init__(self, group: str, kind: str, base: type[T]) -> None:
        self.group, self.kind, self.base = group, kind, base

    @cached_property
    def _found(self) -> dict[str, EntryPoint]:
        found: dict[str, EntryPoint] = {}
        for entry in entry_points(group=self.group):
            if entry.name in found and found[entry.name].value != entry.value:
                raise UsageError(
                    f"Two {self.kind}s are registered as {entry.name!r}: {found[entry.name].value} and "
                    f"{entry.value}; uninstall one of them."
                )
            found[entry.name] = entry
        return found

    def names(self) -> tuple[str, ...]:
        """Return all registered names, sorted."""
        return tuple(sorted(self._found))

    def get(self, name: str) -> type[T]:
        """Import and return the class registered under a name.

        Raises:
            UnknownNameError: when nothing is registered under it.
            UsageError: when the class does not import or derives from something else.
        """
        if name not in self._found:
            raise UnknownNameError(self.kind, name, self.names())
        try:
            loaded = self._found[name].load()
        except (ImportError, AttributeError) as error:
            raise UsageError(f"The {self.kind} {name!r} cannot be imported: {error}.") from None
        if not (isinstance(loaded, type) and issubclass(loaded, self.base)):
            raise UsageError(
                f"The entry point of {self.kind} {name!r} does not name a subclass of {self.base.__name__}."
            )
        return loaded
