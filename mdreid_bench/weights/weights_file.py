"""Weights files that a user names: written by this suite, or released by the authors of a method."""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor

from mdreid_bench.config.schema import RunConfig, TrunkConfig
from mdreid_bench.errors import DataError
from mdreid_bench.models import registry
from mdreid_bench.models.method import DataFacts, Method
from mdreid_bench.models.released_format import ReleasedFormat
from mdreid_bench.models.state_dict import (
    ALIKE,
    LARGEST_CLAIM,
    Faults,
    check_file,
    check_finite,
    check_numbers,
    read_state,
)
from mdreid_bench.models.trunk.tower_weights import tower_bytes
from mdreid_bench.progress import Silent
from mdreid_bench.weights import checkpoint
from mdreid_bench.weights.given_weights import GivenWeights
from mdreid_bench.weights.weights_header import WeightsHeader
from mdreid_bench.wording import listed

FREE_ROWS = 50_000
"""Identities or cameras that a file may claim whatever it holds: a method need not have a row for each."""
FREE_TRUNK = 2 << 30
"""Bytes of a trunk that a file may claim whatever it holds: a method need not use it."""


def recognise(path: Path) -> GivenWeights:
    """Find out what a weights file holds.

    Raises:
        DataError: when it cannot be read, is no checkpoint of a registered method, or any name or shape is not what
            it should be.
    """
    stat = check_file(path)
    return _recognise(path, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=16)
def _recognise(path: Path, changed: int, size: int) -> GivenWeights:
    facts = own_facts(path)
    if facts is None:
        return _of_release(path, *_release_of(path))
    card = registry.card(facts.method)
    if card.version != facts.version:
        raise DataError(
            f"The weights {path} were written for version {facts.version} of {facts.method}, of which version "
            f"{card.version} is installed; use the version of this suite that wrote them."
        )
    check_sizes(path, facts.data, facts.trunk)
    optional = card.evaluation_options
    return GivenWeights(
        path=path,
        method=facts.method,
        data=facts.data,
        selection=facts.selection,
        trunk=facts.trunk.model_copy(update={"pretrained": None}),
        image=facts.image,
        patches=0,
        patch=0,
        options={name: value for name, value in facts.options.items() if name not in optional},
        suggested={name: value for name, value in facts.options.items() if name in optional},
        dataset=facts.dataset,
        source=facts.source or "this suite",
        sources=facts.sources,
        source_cameras=facts.source_cameras,
        missing=facts.missing,
    )


def load(path: Path, method: Method, config: RunConfig) -> None:
    """Give a method the weights of a recognised file; all of them or none.

    Args:
        path: the file.
        method: built with what the file fixes.
        config: that it was built with.

    Raises:
        DataError: when any name or shape differs, or a tensor holds no usable numbers.
    """
    own = method.state_dict()
    shapes, (state, _) = _shapes(own), _read(path, method, config)
    faults = Faults.between(shapes, _shapes(state))
    if faults:
        raise DataError(f"The weights {path} do not fit {config.method}: {faults}.")
    check_numbers(path, own, state)
    method.load_state_dict(state)


def start(path: Path, method: Method, config: RunConfig) -> str:
    """Give a method that is to be trained the weights of a recognised file as far as they fit, and say what is new.

    Raises:
        DataError: when the file lacks a pretrained part, or a tensor holds no usable numbers.
    """
    own, (state, made_up) = method.state_dict(), _read(path, method, config)
    fitting = {n: v for n, v in state.items() if n in own and own[n].shape == v.shape and n not in made_up}
    pretrained = {id(parameter) for backbone in method.backbones() for parameter in backbone.pretrained()}
    lacking = [n for n, parameter in method.named_parameters() if id(parameter) in pretrained and n not in fitting]
    if lacking:
        raise DataError(f"The weights {path} do not fit the trunk of {config.method}: {listed(lacking)}.")
    check_numbers(path, own, fitting)
    method.load_state_dict(fitting, strict=False)
    taken = {name.rpartition(".")[0] for name in fitting}
    new = {n if (part := n.rpartition(".")[0]) in taken else part for n in own.keys() - fitting.keys()}
    return f"Training starts from {path}; new: {listed(sorted(new)) or 'nothing'}."


def _read(path: Path, method: Method, config: RunConfig) -> tuple[dict[str, Tensor], set[str]]:
    """Return the tensors of a file by their names here, and which of them stand for what the file lacks."""
    if own_facts(path) is not None:
        return checkpoint.read(path)[0], set()
    _, form, released = _release_of(path)
    whole = form.completed(released)
    added = {id(value) for name, value in whole.items() if name not in released}
    state = form.converted(whole, config.options)
    return _reshaped(state, _shapes(method.state_dict())), {name for name, v in state.items() if id(v) in added}


def _shapes(state: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in state.items()}


def check_sizes(path: Path, data: DataFacts, trunk: TrunkConfig) -> None:
    """Refuse a description from which a method would be built that is far larger than the file.

    Raises:
        DataError: when it names more identities or cameras than any tensor of the file has rows, beyond
            ``FREE_ROWS``, or a trunk that is several times as large as the file, beyond ``FREE_TRUNK``.
    """
    with _opened(path) as file:
        shapes = [file.get_slice(name).get_shape() for name in file.keys()]  # noqa: SIM118
    rows = max((side for shape in shapes for side in shape), default=0)
    for count, what in ((data.identities, "identities"), (data.cameras, "cameras")):
        if count > max(rows, FREE_ROWS):
            raise DataError(f"The weights {path} claim {count} {what}, of which they hold nothing.")
    if tower_bytes(trunk) > max(LARGEST_CLAIM * path.stat().st_size, FREE_TRUNK):
        raise DataError(f"The weights {path} claim the trunk {trunk.name}, which is far larger than the file.")


def own_facts(path: Path) -> WeightsHeader | None:
    """Return what a weights file of this suite says of itself, None for another file.

    Raises:
        DataError: when the description is damaged.
    """
    if path.suffix != ".safetensors":
        return None
    try:
        with _opened(path) as file:
            header = checkpoint.parse_facts(file.metadata())
        return WeightsHeader.model_validate(header) if "method" in header else None
    except ValueError as error:
        raise DataError(f"The weights file {path} cannot be read ({type(error).__name__}).") from None


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        str(path).encode()  # safetensors says of another path that the file cannot be read
        with safe_open(path, framework="pt") as file:
            yield file
    except UnicodeEncodeError:
        raise DataError(f"The path of the weights file {path} is not UTF-8; rename it.") from None
    except (OSError, SafetensorError) as error:
        raise DataError(f"The weights file {path} cannot be read ({type(error).__name__}).") from None


def _release_of(path: Path) -> tuple[str, ReleasedFormat, dict[str, Tensor]]:
    """Read a file and return the method and the format whose names it has, every name and shape checked."""
    forms = {name: method.released for name, method in registry.usable(Silent().message).items()}
    known = {name: form for name, form in forms.items() if form is not None}
    state = read_state(path, lambda names: max(form.likeness(names) for form in known.values()))
    method, form = max(known.items(), key=lambda item: item[1].likeness(state))
    if form.likeness(state) < ALIKE:
        names = ", ".join(sorted(state)[:3]) or "none"
        raise DataError(
            f"The weights file {path} is not recognised: its tensors are called {names} and so on; known are files "
            f"written by this suite and checkpoints of {', '.join(form.title for form in known.values())}."
        )
    faults = form.faults(state)
    if faults:
        raise DataError(f"The checkpoint {path} is not what {form.title} writes: {faults}.")
    for name, value in form.mapped(form.completed(state)).items():
        check_finite(path, name, value)
    return method, form, state


def _of_release(path: Path, method: str, form: ReleasedFormat, state: Mapping[str, Tensor]) -> GivenWeights:
    layout, absent = form.layout(form.completed(state)), form.absent(state)
    return GivenWeights(
        path=path,
        method=method,
        data=DataFacts(identities=layout.sizes["C"], cameras=layout.sizes["K"]),
        selection="best-test",
        trunk=TrunkConfig(name=form.trunk, pretrained=None, layers=layout.blocks),
        image=None,
        patches=layout.sizes["L"] - form.leading,
        patch=form.patch,
        options=form.options(state),
        suggested={},
        dataset=None,
        source=form.title + (f" (without {listed(absent)}, which no embedding depends on)" if absent else ""),
    )


def _reshaped(state: Mapping[str, Tensor], shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """Give tensors of the right number of elements the shapes they have here; the camera table loses a side of 1."""
    return {
        name: value.reshape(shapes[name]) if math.prod(shapes.get(name, (-1,))) == value.numel() else value
        for name, value in state.items()
    }
