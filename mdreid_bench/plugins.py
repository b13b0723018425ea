"""Classes that this and other packages register under entry points, by name."""

from collections.abc import Callable
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
    for kind in ("method", "dataset", "suite"):
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
        self._twice: dict[str, EntryPoint] = {}

    @cached_property
    def _found(self) -> dict[str, EntryPoint]:
        found: dict[str, EntryPoint] = {}
        for entry in entry_points(group=self.group):
            if found.setdefault(entry.name, entry).value != entry.value:
                self._twice[entry.name] = entry
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

    def usable(self, get: Callable[[str], T], warn: Callable[[str], None] | None) -> dict[str, T]:
        """Return everything that can be used, by sorted name.

        Args:
            get: returns what is registered under a name, or what belongs to it.
            warn: told of each that cannot be used, which is left out.

        Raises:
            UsageError: without ``warn``, for the first that cannot be used.
        """
        found = {}
        for name in self.names():
            try:
                found[name] = get(name)
            except UsageError as error:
                if warn is None:
                    raise
                warn(f"{str(error).rstrip('.')}; it is left out.")
        return found

    def own(self, name: str) -> bool:
        """Tell whether what is registered under a name belongs to this suite."""
        return name in self._found and self._found[name].value.partition(".")[0] in OWN

    def called(self, name: str) -> str:
        """Return how messages call what is registered under a name: with the package that it comes from."""
        package = getattr(self._found.get(name), "dist", None)
        return f"The {self.kind} {name!r}" + (f" of the package {package.name}" if package else "")

    def load(self, name: str) -> Any:
        """Import and return what is registered under a name, whatever it is.

        Raises:
            UnknownNameError: when nothing is registered under it.
            UsageError: when it does not import, or others are registered under the name.
        """
        if name not in self._found:
            raise UnknownNameError(self.kind, name, self.names())
        if name in self._twice:
            both = f"{self._found[name].value} and {self._twice[name].value}"
            raise UsageError(f"Two {self.kind}s are registered as {name!r}: {both}; uninstall one of them.")
        return self.imported(name, self._found[name].value)

    def imported(self, name: str, target: str) -> Any:
        """Import and return ``"module:attribute"``, which belongs to a name.

        Raises:
            UsageError: when there is no such thing.
        """
        try:
            return EntryPoint(name, target, self.group).load()
        except Exception as error:  # whatever its module does
            why = str(error).rstrip(".") or type(error).__name__
            raise UsageError(f"{self.called(name)} cannot be imported: {why}.") from error

    def checked(self, name: str, loaded: Any, base: type[T]) -> type[T]:
        """Return a class that belongs to a name.

        Raises:
            UsageError: when it is no class or derives from something else.
        """
        if not (isinstance(loaded, type) and issubclass(loaded, base)):
            raise UsageError(f"{self.called(name)} is no subclass of {base.__name__}; correct its entry point.")
        return loaded

    def own_card(self, name: str, found: object, kind: type[T]) -> T:
        """Return a card, which must be that of what is registered under ``name``.

        Raises:
            UsageError: when it is something else, or that of another.
        """
        if not isinstance(found, kind) or getattr(found, "name", None) != name:
            other = f"calls itself {getattr(found, 'name', None)!r} in it" if isinstance(found, kind) else "has none"
            raise UsageError(f"{self.called(name)} needs a card of this name, but {other}.")
        return found
