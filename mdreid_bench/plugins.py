"""Classes that this and other packages register under entry points, by name."""

from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from traceback import walk_tb
from typing import Any, TypeVar

from mdreid_bench.errors import UsageError
from protocols.names import UnknownNameError

T = TypeVar("T")
OWN = ("mdreid_bench", "baselines")
"""Packages of this suite, whose classes its tests check."""


def culprit(error: BaseException) -> str | None:
    """Say which plug-in of another package raised an error, and where; None where none had a part in it."""
    owners: dict[str, dict[str, None]] = {}
    for kind in ("method", "dataset"):
        for entry in entry_points(group=f"mdreid_bench.{kind}s"):
            owners.setdefault(entry.value.partition(":")[0].partition(".")[0], {})[f"{kind} {entry.name}"] = None
    calls = [
        (frame.f_globals.get("__name__", ""), frame.f_code, line) for frame, line in walk_tb(error.__traceback__)
    ]
    for module, code, line in calls:
        package = module.partition(".")[0]
        if package in owners and package not in OWN:
            names = " and ".join(owners[package])
            return f"The {names} of the package {package} breaks its contract: {code.co_name} ({module}, line {line})"
    return None


class Plugins:
    """What is registered in an entry-point group; imported when asked for.

    Args:
        group: of the entry points.
        kind: what is registered, in one word, for messages.
    """

    def __init__(self, group: str, kind: str) -> None:
        self.group, self.kind = group, kind

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

    def get(self, name: str, base: type[T]) -> type[T]:
        """Import and return the class registered under a name.

        Args:
            name: registered.
            base: class that it must derive from.

        Raises:
            UnknownNameError: when nothing is registered under it.
            UsageError: when the class does not import or derives from something else.
        """
        return self.checked(name, self.load(name), base)

    def load(self, name: str) -> Any:
        """Import and return what is registered under a name, whatever it is.

        Raises:
            UnknownNameError: when nothing is registered under it.
            UsageError: when it does not import.
        """
        if name not in self._found:
            raise UnknownNameError(self.kind, name, self.names())
        return self.imported(name, self._found[name].value)

    def imported(self, name: str, target: str) -> Any:
        """Import and return ``"module:attribute"``, which belongs to a name.

        Raises:
            UsageError: when there is no such thing.
        """
        try:
            return EntryPoint(name, target, self.group).load()
        except (ImportError, AttributeError) as error:
            raise UsageError(f"The {self.kind} {name!r} cannot be imported: {error}.") from None

    def checked(self, name: str, loaded: Any, base: type[T]) -> type[T]:
        """Return a class that belongs to a name.

        Raises:
            UsageError: when it is no class or derives from something else.
        """
        if not (isinstance(loaded, type) and issubclass(loaded, base)):
            raise UsageError(f"The entry point of {self.kind} {name!r} does not name a subclass of {base.__name__}.")
        return loaded
