"""Nested dictionaries of settings: merging layers, dotted overrides, and errors that name the key."""

import os
import stat
from collections.abc import Container, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from mdreid_bench.config import plain_yaml
from mdreid_bench.errors import UsageError
from protocols.names import UnknownNameError

_DEEPEST = 10
LARGEST_FILE = 1_000_000
"""Bytes of a configuration file; what is longer, or has no end, is something else."""
Tree = dict[str, Any]


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> Tree:
    """Return ``base`` with ``over`` on top; mappings merge key by key, everything else is replaced."""
    result = dict(base)
    for key, value in over.items():
        old = result.get(key)
        result[key] = merge(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return result


def leaves(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the dotted keys and the values of everything in a tree that is not a tree itself."""
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def parse_assignments(assignments: Sequence[str], texts: Container[str] = ()) -> Tree:
    """Turn ``["batch.size=32", "options.rol=paper"]`` into a tree.

    Values are read as YAML scalars, and those that are text are taken as they are: ``#`` begins no comment.

    Args:
        assignments: as typed.
        texts: dotted keys whose values are text, whatever they look like; ``null`` alone is none.

    Raises:
        UsageError: for an entry without ``=``, without a value, or with one that is not YAML.
    """
    tree: Tree = {}
    for text in assignments:
        path, equals, value = text.partition("=")
        keys = path.strip().split(".")
        if not equals or not all(keys) or len(keys) > _DEEPEST:
            raise UsageError(f"--set takes key=value with a dotted key, such as batch.size=32, not {text!r}.")
        if not value.strip():
            raise UsageError(f"--set {text!r} has no value; write null where none is meant.")
        try:
            leaf: Any = _as_typed(value.strip(), ".".join(keys) in texts)
        except yaml.YAMLError:
            raise UsageError(f"The value of --set {text!r} is not valid YAML.") from None
        for key in reversed(keys):
            leaf = {key: leaf}
        tree = merge(tree, leaf)
    return tree


def _as_typed(value: str, text: bool) -> Any:
    if text:
        return None if value == "null" else value
    read = _number(plain_yaml.load(value))
    return value if isinstance(read, str) and value[0] not in "'\"" else read


def text_keys(model: type[BaseModel]) -> Iterator[str]:
    """Yield the dotted keys of a configuration whose values are text."""
    for key, field in _keys(model):
        kinds = get_args(field.annotation) or (field.annotation,)
        if any(kind is str or isinstance(kind, str) for kind in kinds) and get_origin(field.annotation) is not dict:
            yield key


def _keys(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Yield the dotted keys of a configuration with what is declared of them."""
    for name, field in model.model_fields.items():
        kind = (get_args(field.annotation) or (field.annotation,))[0]
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from _keys(kind, f"{prefix}{name}.")
        else:
            yield prefix + name, field


def _number(value: Any) -> Any:
    """Read ``1e-4`` as a number, which YAML 1.1 takes for a string because it lacks a decimal point."""
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value


def read_yaml(path: Path) -> Tree:
    """Read a YAML mapping from a file with the safe loader; a pipe, which can be read once, will do as well.

    Raises:
        UsageError: when the file is missing, not YAML, not a mapping, or cannot be a configuration: a folder, a
            device, or too long.
    """
    try:
        content = plain_yaml.load(_read(path).decode("utf-8"))
    except OSError as error:
        raise UsageError(f"The configuration file {path} cannot be read: {error.strerror}.") from None
    except (yaml.YAMLError, UnicodeDecodeError):
        raise UsageError(f"The configuration file {path} is not valid YAML.") from None
    if content is None:
        return {}
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise UsageError(f"The configuration file {path} must hold a mapping of keys to values.")
    return _numbers(content)


def _read(path: Path) -> bytes:
    """Return the bytes of a file or a pipe that may be a configuration; the standard input may be a terminal."""
    kind = path.stat()
    if stat.S_ISDIR(kind.st_mode) or not (_streams(kind.st_mode) or _is_standard_input(kind)):
        what = "folder" if stat.S_ISDIR(kind.st_mode) else "device"
        raise UsageError(f"The configuration file {path} is a {what}; --config takes a YAML file or a pipe.")
    with path.open("rb") as file:
        content = file.read(LARGEST_FILE + 1)
    if len(content) > LARGEST_FILE:
        raise UsageError(f"The configuration file {path} has more than {LARGEST_FILE} bytes; it is something else.")
    return content


def _streams(mode: int) -> bool:
    return stat.S_ISREG(mode) or stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)


def _is_standard_input(kind: os.stat_result) -> bool:
    try:
        return os.path.samestat(kind, os.fstat(0))
    except OSError:
        return False


def _numbers(tree: Mapping[str, Any]) -> Tree:
    return {k: _numbers(v) if isinstance(v, Mapping) else _number(v) for k, v in tree.items()}


M = TypeVar("M", bound=BaseModel)


def validate(model: type[M], tree: Mapping[str, Any], prefix: str = "", owner: str = "") -> M:
    """Build ``model`` from ``tree``.

    Args:
        model: of the configuration or a part of it.
        tree: what it is built from.
        prefix: of the dotted keys in messages.
        owner: whose keys they are, when they belong to one method.

    Raises:
        UnknownNameError: for an unknown key, with the valid keys of its section and the nearest one.
        UsageError: for a value of the wrong type or range, naming the dotted key.
    """
    try:
        return model.model_validate(tree)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        path = [str(part) for part in first["loc"]]
        if first["type"] == "extra_forbidden":
            valid = [prefix + name for name in _fields_at(model, path[:-1])]
            if not valid:
                raise UsageError(
                    f"{owner or 'This'} has no options, so {prefix + '.'.join(path)} cannot be set; name the method "
                    "that has it with --method."
                ) from None
            kind = f"configuration key of {owner}" if owner else "configuration key"
            elsewhere = [key for key, _ in _keys(model) if key.endswith(f".{path[-1]}")]
            nearest = prefix + elsewhere[0] if len(elsewhere) == 1 else None
            raise UnknownNameError(kind, prefix + ".".join(path), valid, nearest=nearest) from None
        where = prefix + ".".join(path)
        if told := _WANTED.get(first["type"]):
            limits = {name: f"{x:g}" if isinstance(x, float) else x for name, x in first.get("ctx", {}).items()}
            reason = f"{told.format(**limits)}, not {first['input']!r}"
            raise UsageError(f"The configuration key {where} takes {reason}.") from None
        reason = first["msg"].removeprefix("Value error, ")
        raise UsageError(f"Configuration{' key ' + where if where else ''}: {reason}.") from None


_WANTED = {
    "greater_than": "a number above {gt}",
    "greater_than_equal": "a number of at least {ge}",
    "less_than": "a number below {lt}",
    "less_than_equal": "a number of at most {le}",
    "int_parsing": "a whole number",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_parsing": "a number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "literal_error": "{expected}",
    "string_type": "text",
    "tuple_type": "a list in brackets, such as [1, 2]",
    "list_type": "a list in brackets, such as [1, 2]",
    "missing": "one more value",
}
"""What a key takes, by the kind of error that pydantic finds."""


def _fields_at(model: type[BaseModel], path: Sequence[str]) -> list[str]:
    current: Any = model
    for key in path:
        current = current.model_fields[key].annotation
    return [".".join([*path, name]) for name in current.model_fields]
