"""Runs and evaluations by what a user types: a part of a folder name, of a key, or a path."""

from pathlib import Path

from mdreid_bench.errors import DataError, UsageError
from mdreid_bench.results.store import RunFolder, Scope, Store
from mdreid_bench.wording import listed
from protocols.names import UnknownNameError

_SHOWN = 8
_KEY_DIGITS = 10


def find_run(store: Store, text: str) -> RunFolder:
    """Return the one run that ``text`` means: a part of its folder's name, the beginning of its key, or a path.

    What begins a name goes before what stands elsewhere in one.

    Raises:
        UnknownNameError: when no run is meant.
        UsageError: when several are.
    """
    found = find_runs(store, text)
    if len(found) > 1:
        names = listed([folder.path.name for folder in found], _SHOWN)
        raise UsageError(f"The run {text!r} may be {names}; give more of its name or key.")
    return found[0]


def find_runs(store: Store, text: str) -> list[RunFolder]:
    """Return every run that ``text`` may mean, sorted by name; see :func:`find_run`.

    Raises:
        UnknownNameError: when there is none.
        DataError: for one that a link leads out of the results folder.
    """
    names = _names(store)
    wanted = Path(text).name if text else text
    found = [name for name in names if wanted and _means(wanted, name)]
    found = found or [name for name in names if wanted and wanted in name]
    exact = [name for name in found if name == wanted]
    if not found:
        keys = [_key(name) for name in names]
        shown = names[:_SHOWN] if names else [f"none, because {store.runs} holds no runs"]
        raise UnknownNameError("run", text, [*names, *keys], shown=shown)
    return [RunFolder(_inside(store.root, store.runs / name)) for name in exact or found]


def find_scope(folder: RunFolder, limit: int | None) -> Scope:
    """Return the evaluations of a run with a limit; without one, those of the full test set or the only ones.

    Raises:
        DataError: when there are none, none with this limit, or a link leads out of the results folder.
        UsageError: when only a limit tells which of several are meant.
    """
    scope = folder.scope(limit)
    if scope.path.is_dir():
        return _checked(folder, scope)
    there = sorted(path for path in folder.path.iterdir() if path.is_dir())
    if not there:
        raise DataError(f"The run {folder.path} was never evaluated; evaluate it with 'mdreid-bench run'.")
    names = ", ".join(path.name for path in there)
    if limit is not None:
        raise DataError(f"The run {folder.path} was not evaluated with --limit {limit}; there is: {names}.")
    if len(there) > 1:
        raise UsageError(f"The run {folder.path} was evaluated with several limits ({names}); choose with --limit.")
    return _checked(folder, Scope(there[0]))


def _checked(folder: RunFolder, scope: Scope) -> Scope:
    for path in (scope.path, scope.embeddings, *scope.embedding_folders()):
        _inside(folder.path.parents[1], path)
    return scope


def _inside(root: Path, path: Path) -> Path:
    """Return a path below a results folder, in which others may have put links: scores are written there."""
    if not path.resolve().is_relative_to(root.resolve()):
        raise DataError(f"{path} is a link out of {root}; copy what it leads to into its place.")
    return path


def _names(store: Store) -> list[str]:
    try:
        return sorted(path.name for path in store.runs.iterdir() if path.is_dir() and not path.name.startswith("."))
    except FileNotFoundError:
        return []


def _means(text: str, name: str) -> bool:
    """Tell whether ``text`` begins the folder's name or the run's key, of which the name has the first digits."""
    key = _key(name)
    return name.startswith(text) or key.startswith(text) or (len(text) > _KEY_DIGITS and text.startswith(key))


def _key(name: str) -> str:
    return name.rpartition("-")[2]
