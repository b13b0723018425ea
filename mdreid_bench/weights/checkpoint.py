"""Weights and training state as safetensors, written atomically; nothing is ever unpickled."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn
from torch.optim import Optimizer

from mdreid_bench.errors import DataError
from mdreid_bench.models.state_dict import check_numbers
from mdreid_bench.results.storage.atomic import replacing
from mdreid_bench.results.storage.files import open_regular
from mdreid_bench.results.storage.place import PLACE, NotOfThisPlaceError, check_place, place_of
from mdreid_bench.wording import listed

_MODEL, _SLOT, _MORE = "model.", "optimizer.", "more."
_FACTS, _DIGEST = "facts", "digest"
_ANEW = "move it away to train anew"
DEPTH = 2
"""Place of what lies in the folder of a training: folder and file."""


def save_weights(path: Path, method: nn.Module, facts: Mapping[str, Any]) -> None:
    """Write all parameters and buffers of ``method`` and a JSON-able description."""
    write(path, _contiguous(method.state_dict()), facts)


def load_weights(path: Path, method: nn.Module) -> None:
    """Load weights written by ``save_weights`` to this place into a method of the same shape.

    Raises:
        DataError: when the file is unreadable, that of another training, or any name or shape differs.
    """
    tensors, _ = read(path, DEPTH)
    _load_strictly(path, method, tensors)


def save_state(
    path: Path, method: nn.Module, optimizer: Optimizer, facts: Mapping[str, Any], more: Mapping[str, Tensor]
) -> None:
    """Write what a later process needs to continue training: weights, optimiser slots, facts, other tensors."""
    tensors = {_MORE + name: value for name, value in more.items()}
    tensors |= {_MODEL + name: value for name, value in method.state_dict().items()}
    for number, slots in optimizer.state_dict()["state"].items():
        tensors |= {f"{_SLOT}{number}.{name}": torch.as_tensor(v) for name, v in slots.items() if v is not None}
    write(path, _contiguous(tensors), facts)


def load_state(path: Path, method: nn.Module, optimizer: Optimizer) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Restore what ``save_state`` wrote and return its facts and its other tensors.

    Raises:
        DataError: when the file is unreadable, that of another training, or does not fit.
    """
    tensors, facts = read(path, DEPTH)
    model = {n.removeprefix(_MODEL): t for n, t in tensors.items() if n.startswith(_MODEL)}
    _load_strictly(path, method, model)
    slots: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith(_SLOT):
            number, slot = name.removeprefix(_SLOT).split(".", 1)
            slots.setdefault(int(number), {})[slot] = value
    state = optimizer.state_dict()
    optimizer.load_state_dict({"state": slots, "param_groups": state["param_groups"]})
    return facts, {n.removeprefix(_MORE): t for n, t in tensors.items() if n.startswith(_MORE)}


def read(path: Path, depth: int | None = None) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return tensors and facts of a file; the digest in a file of ours must match.

    Args:
        path: of the file.
        depth: for a file that :func:`write` put there with this depth; None for one of the user's.

    Raises:
        DataError: when it is missing, truncated, changed or not safetensors, or belongs to another place.
    """
    again = "get it anew from where it came from" if depth is None else _ANEW
    try:
        str(path).encode()  # safetensors says of another path that the file cannot be read
        open_regular(path).close()  # a pipe would make everybody wait
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        facts = parse_facts(metadata)
    except UnicodeError:
        raise DataError(f"The path of the checkpoint {path} is not UTF-8; rename it.") from None
    except OSError as error:
        raise DataError(f"The checkpoint {path} cannot be read: {error.strerror or error}.") from None
    except (SafetensorError, ValueError, RuntimeError) as error:
        raise DataError(f"The checkpoint {path} cannot be read ({type(error).__name__}); {again}.") from None
    if _DIGEST in metadata and metadata[_DIGEST] != digest(tensors, _described(metadata)):
        raise DataError(f"The checkpoint {path} was changed after it was written; {again}.")
    if depth is not None:
        _check_own(path, depth, metadata)
    return tensors, facts


def parse_facts(metadata: Mapping[str, str] | None) -> dict[str, Any]:
    """Return the description in the metadata of a safetensors file, which anybody may have written.

    Raises:
        ValueError: when it is no JSON object, or nested too deeply.
    """
    try:
        facts = json.loads((metadata or {}).get(_FACTS, "{}"))
    except RecursionError:
        raise ValueError("the description is nested too deeply") from None
    if not isinstance(facts, dict):
        raise ValueError("the description is no object")
    return facts


def check_own(path: Path) -> None:
    """Refuse a file in the folder of a training that was not written there; its content is not read.

    Raises:
        DataError: when it is missing, no safetensors, or that of another training.
    """
    try:
        open_regular(path).close()
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
    except (OSError, SafetensorError, ValueError) as error:
        raise DataError(f"The checkpoint {path} cannot be read ({type(error).__name__}); {_ANEW}.") from None
    _check_own(path, DEPTH, metadata)


def _check_own(path: Path, depth: int, metadata: Mapping[str, str]) -> None:
    try:
        check_place(path, depth, metadata.get(PLACE))
    except NotOfThisPlaceError as error:
        raise DataError(f"The checkpoint {path} {error}; {_ANEW}.") from None


def write(path: Path, tensors: Mapping[str, Tensor], facts: Mapping[str, Any], depth: int = DEPTH) -> None:
    """Write tensors on the CPU, none sharing memory, with a JSON-able description, the place, and a digest of all.

    Args:
        path: of the file.
        tensors: by name.
        facts: the description.
        depth: parts of the path that are its place; see :func:`mdreid_bench.results.storage.place.place_of`.

    Raises:
        DataError: when the file system refuses.
    """
    metadata = {_FACTS: json.dumps(dict(facts), sort_keys=True), PLACE: place_of(path, depth)}
    data = save(dict(tensors), metadata=metadata | {_DIGEST: digest(tensors, _described(metadata))})
    start = 8 + int.from_bytes(data[:8], "little")
    header = _header(data[8:start])
    with replacing(path) as temporary, temporary.open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.write(memoryview(data)[start:])


def _described(metadata: Mapping[str, str]) -> str:
    """Return the text that the digest vouches for; files of earlier versions tell no place."""
    return "\n".join(metadata[name] for name in (_FACTS, PLACE) if name in metadata)


def _header(text: bytes) -> bytes:
    """Return the header with its metadata in the order of their names; safetensors writes them in any order."""
    tree = json.loads(text)
    tree["__metadata__"] = dict(sorted(tree["__metadata__"].items()))
    header = json.dumps(tree, separators=(",", ":"), ensure_ascii=False).encode()
    return header + b" " * (-len(header) % 8)


def digest(tensors: Mapping[str, Tensor], text: str = "") -> str:
    """Return a hexadecimal hash of names, types, shapes and values, and of a text."""
    state = hashlib.blake2b(text.encode(), digest_size=16)
    for name, value in sorted(tensors.items()):
        state.update(f"\n{name} {value.dtype} {tuple(value.shape)}\n".encode())
        state.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return state.hexdigest()


def _contiguous(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Detach, move to the CPU and copy, because safetensors refuses tensors that share memory."""
    return {name: value.detach().cpu().clone().contiguous() for name, value in tensors.items()}


def _load_strictly(path: Path, method: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    own = method.state_dict()
    faults = sorted(own.keys() ^ tensors.keys())
    faults += sorted(n for n in own.keys() & tensors.keys() if own[n].shape != tensors[n].shape)
    if faults:
        raise DataError(f"The checkpoint {path} does not fit the method: {listed(faults)}.")
    check_numbers(path, own, tensors)
    method.load_state_dict(dict(tensors))
