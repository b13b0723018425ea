"""State dicts in files: read without running code, believed no further than the file reaches, compared by name."""

import os
import warnings
import zipfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from mdreid_bench.errors import DataError
from mdreid_bench.models.weights_path import entry_of
from mdreid_bench.results.storage.files import open_regular
from mdreid_bench.wording import listed

LARGEST_CLAIM = 4
"""Bytes that a file may ask for, for each of its own: unpacked, and for all of its tensors, some of which may share
memory, as tied parameters do."""
SMALL_CLAIM = 64 << 20
"""Bytes that every file may ask for, however small it is."""
FLOATS = (torch.float32, torch.float16, torch.bfloat16, torch.float64)
"""What becomes float32 without a word."""

ALIKE = 0.5
"""Share of names in common from which on tensors count as those that are looked for, with faults if need be."""
Likeness = Callable[[Collection[str]], float]
Shape = tuple[int, ...]
UNKNOWN = -1
"""Side of an expected shape that nothing in the file tells."""


@dataclass(frozen=True)
class Faults:
    """Names that are missing from a file, unexpected in it, or misshapen; each sorted.

    Attributes:
        misshapen: name, shape in the file and expected shape.
    """

    missing: Sequence[str]
    unexpected: Sequence[str]
    misshapen: Sequence[tuple[str, Shape, Shape]]

    @classmethod
    def between(cls, wanted: Mapping[str, Shape], given: Mapping[str, Shape]) -> "Faults":
        """Compare the expected shapes with those of a file, by name."""
        common = sorted(wanted.keys() & given.keys())
        return cls(
            missing=sorted(wanted.keys() - given.keys()),
            unexpected=sorted(given.keys() - wanted.keys()),
            misshapen=[(name, given[name], wanted[name]) for name in common if given[name] != wanted[name]],
        )

    def __bool__(self) -> bool:
        return bool(self.missing or self.unexpected or self.misshapen)

    def __str__(self) -> str:
        shapes = [f"{name} is {_text(found)} instead of {_text(wanted)}" for name, found, wanted in self.misshapen]
        kinds = (("missing", self.missing), ("unexpected", self.unexpected), ("misshapen", shapes))
        return "; ".join(f"{kind}: {listed(names)}" for kind, names in kinds if names)


def _text(shape: Shape) -> str:
    return "x".join("?" if side == UNKNOWN else str(side) for side in shape) or "a scalar"


def read_state(path: Path, likeness: Likeness = lambda names: 1, *, archives: bool = False) -> dict[str, Tensor]:
    """Read a state dict from safetensors or from a pickle of tensors alone, without running code in it.

    It may lie under other keys, beside numbers and the like, and all of its names may have a prefix. Of several, the
    one is taken that is alike.

    Args:
        path: a file written by safetensors, or by ``torch.save``; ``FILE#ENTRY`` for one of several in it.
        likeness: how much names are those that are looked for; see ``ALIKE``.
        archives: accept TorchScript archives too, as OpenAI publishes them; these bring code of their own, in a
            language that knows tensors alone.

    Raises:
        DataError: when the file cannot be read that way, holds several that are alike, or asks for more memory than
            such a file can fill.
    """
    limit = LARGEST_CLAIM * check_file(path).st_size + SMALL_CLAIM
    path, entry = entry_of(path)
    try:
        content: Any = load_file(path) if path.suffix == ".safetensors" else _load_torch(path, archives, limit)
    except DataError:
        raise
    except (OSError, RuntimeError, SafetensorError, ValueError, KeyError, EOFError) as error:
        raise DataError(f"The weights file {path} cannot be read ({type(error).__name__}).") from None
    except Exception as error:
        raise DataError(
            f"The weights file {path} is refused: it is damaged or holds more than tensors ({type(error).__name__})."
        ) from None
    found = {where: max(_stripped(state), key=likeness) for where, state in _states(content)}
    if not found:
        raise DataError(f"The weights file {path} does not hold a state dict of tensors.")
    alike = [where for where, state in found.items() if likeness(state) >= ALIKE]
    if entry is not None and entry not in found:
        raise DataError(f"The weights file {path} has no tensors under {entry!r}, but under {listed(list(found))}.")
    if entry is None and len(alike) > 1:
        raise DataError(
            f"The weights file {path} holds {listed(alike)}, which are all weights of the kind that is wanted; say "
            f"which, such as {path}#{alike[-1]}."
        )
    state = found[entry or max(alike or found, key=lambda where: len(found[where]))]
    _check_claims(path, state, limit)
    return state


def _states(content: Any, where: str = "", depth: int = 3) -> Iterator[tuple[str, dict[str, Tensor]]]:
    """Yield every dict of tensors with the keys that lead to it; optimisers number theirs, which are passed over."""
    if not depth or not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        return
    tensors = {key: value for key, value in content.items() if isinstance(value, Tensor)}
    if any(value.ndim for value in tensors.values()):
        yield where or ".", tensors
    for key, value in content.items():
        yield from _states(value, f"{where}.{key}" if where else key, depth - 1)


def _stripped(state: dict[str, Tensor]) -> Iterator[dict[str, Tensor]]:
    """Yield a state dict, then without one after the other of the prefixes that all of its names share.

    What wraps a model puts counters of its own beside it, which have no prefix.
    """
    for _ in range(8):
        yield state
        inner = {name: value for name, value in state.items() if "." in name or value.ndim}
        if len({name.partition(".")[0] for name in inner}) != 1 or not all("." in name for name in inner):
            return
        state = {name.partition(".")[2]: value for name, value in inner.items()}


def check_numbers(path: Path, own: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> None:
    """Refuse values that would be changed by a conversion, or that nothing can be computed with.

    Args:
        path: of the file, for messages.
        own: the parameters and buffers to be filled.
        given: of the file, with the same names.

    Raises:
        DataError: naming the first such tensor.
    """
    for name, value in given.items():
        wanted = own[name].dtype
        if value.dtype not in (FLOATS if wanted.is_floating_point else (wanted,)):
            kinds = "numbers with a fraction" if wanted.is_floating_point else str(wanted)
            raise DataError(f"The tensor {name} in {path} holds {value.dtype} where {kinds} belong.")
        if wanted.is_floating_point:
            check_finite(path, name, value)


def check_finite(path: Path, name: str, value: Tensor) -> None:
    """Refuse a tensor of a file that holds NaN or infinity.

    Raises:
        DataError: naming it.
    """
    numbers = value.float() if value.element_size() == 1 else value  # little is defined on floats of eight bits
    # One pass without a mask: the sum of a NaN or an infinity is none either. It may be that of large numbers, too.
    if not torch.isfinite(numbers.sum()) and not torch.isfinite(numbers).all():
        raise DataError(f"The tensor {name} in {path} holds NaN or infinity, so the weights cannot be used.")


def check_file(path: Path) -> os.stat_result:
    """Return what the system says of a regular file; devices and pipes have no end, or can be read only once.

    Raises:
        DataError: when there is no such file.
    """
    path, _ = entry_of(path)
    try:
        with open_regular(path) as file:
            return os.fstat(file.fileno())
    except OSError as error:
        raise DataError(f"The weights file {path} cannot be read: {error.strerror or error}.") from None


def _load_torch(path: Path, archives: bool, limit: int) -> Any:
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
        if unpacked > limit:
            raise DataError(f"The weights file {path} is refused: it would unpack to {unpacked} bytes.")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # on archives, which are told apart here, and on their future
        try:
            return torch.load(path, map_location="cpu", weights_only=True)
        except RuntimeError as error:
            if "TorchScript" not in str(error) or not archives:
                raise
        module: nn.Module = torch.jit.load(path, map_location="cpu")  # type: ignore[no-untyped-call]
    return module.state_dict()


def _check_claims(path: Path, tensors: Mapping[str, Tensor], limit: int) -> None:
    """Refuse tensors that are larger than the memory behind them, and many that share one."""
    total = 0
    for name, value in tensors.items():
        dense = value.layout == torch.strided and value.device.type == "cpu" and not value.is_quantized
        size = value.numel() * value.element_size()
        total += size
        if not dense or size > value.untyped_storage().nbytes() or total > limit:
            raise DataError(
                f"The weights file {path} is refused: its tensor {name} of shape {tuple(value.shape)} claims more "
                "than the file holds."
            )
