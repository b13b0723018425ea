"""What can be refused before anything is trained: batches that cannot be filled, trunk weights that cannot be had."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mdreid_bench.config.resolve import resolve
from mdreid_bench.data.card import DatasetCard
from mdreid_bench.data.corrupting import require_library
from mdreid_bench.models import registry
from mdreid_bench.runs.plan import Cell, Request, unembedded
from mdreid_bench.runs.run import Run

if TYPE_CHECKING:
    import torch


def check_configurations(request: Request, cards: Iterable[DatasetCard]) -> None:
    """Resolve every configuration once, before datasets are opened.

    Raises:
        UnknownNameError: for an unknown preset or key.
        UsageError: for a value out of range.
    """
    for card in cards:
        for name in request.methods:
            method = registry.card(name)
            size = card.image_size
            resolve(name, method.options_model, method.recipes, card.name, size, request.preset, request.overrides)


def notes(plan: Iterable[tuple[Run, Sequence[Cell]]]) -> list[str]:
    """Return, once each, what is to be known of the files of weights that the new cells of a plan begin with.

    Raises:
        DataError: when one cannot be read.
    """
    found, ahead = [], [run for run, cells in plan if unembedded(run, cells)]
    if not ahead:
        return []
    from mdreid_bench.models.trunk.tower_weights import note_on
    from mdreid_bench.weights.weights_file import recognise

    for run in ahead:
        file, trunk = run.weights or run.config.init, run.config.trunk
        if file:
            stride = f", patches {trunk.stride} pixels apart" if trunk.stride else ""
            found.append(f"Weights: {file}, {recognise(Path(file)).described}{stride}.")
        elif note := note_on(trunk):
            found.append(note)
    return list(dict.fromkeys(found))


def check_runs(plan: Iterable[tuple[Run, Sequence[Cell]]], device: "torch.device") -> None:
    """Check every run that has to be trained or extracted.

    Raises:
        UsageError: when the training set cannot fill a batch, counts would lose their contrast, a trunk is to be
            compiled and nothing can, or images are to be corrupted without the library for it.
        DataError: when weights of the trunk are neither cached nor to be downloaded.
    """
    from mdreid_bench.models.trunk.tower_weights import weights_file
    from mdreid_bench.processes.device import check_compiler

    for run, cells in plan:
        wanted = unembedded(run, cells)
        if not wanted:
            continue
        if any(wanted):
            require_library()
        for index in (run.index, *run.sources):
            index.check_counts(run.config.image.counts)
        if run.config.evaluation.compile:
            check_compiler(device)
        if run.config.trunk.pretrained is not None and not run.weights:
            weights_file(run.config.trunk)
        if run.must_train:
            run.stage.check(run.config)
