"""What a command will do: one run per dataset, split, method and seed, one cell per run and setting."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache, partial
from pathlib import Path
from typing import Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from mdreid_bench.config.resolve import Overrides
from mdreid_bench.config.tree import Tree, merge
from mdreid_bench.data import registry as datasets
from mdreid_bench.data.check_rules import elsewhere, queries
from mdreid_bench.data.index import DatasetIndex
from mdreid_bench.data.transfer import check_folders, check_source
from mdreid_bench.models import registry
from mdreid_bench.models.card import MethodCard
from mdreid_bench.results.calibration import StoredCalibration
from mdreid_bench.results.form import PLAIN, Form
from mdreid_bench.results.schema import Record
from mdreid_bench.results.store import Store
from mdreid_bench.runs.run import Run
from mdreid_bench.weights.given_weights import GivenWeights, resolve_for
from protocols.corruption import Corruption
from protocols.protocol import Side
from protocols.suites import Setting

State = Literal["new", "cached", "not applicable"]
STATES: tuple[State, ...] = get_args(State)


@dataclass(frozen=True)
class Cell:
    """One record to be: a run under one setting; ``why_not`` tells where dataset or method cannot serve it."""

    run: Run
    setting: Setting
    record: Record | None
    form: Form = PLAIN
    why_not: str | None = None

    @property
    def state(self) -> State:
        """Whether the cell is still to be measured, or cannot be."""
        if self.record is not None:
            return "cached"
        return "new" if self.why_not is None else "not applicable"

    @property
    def key(self) -> tuple[str, str]:
        """What tells the cell from the others of a plan."""
        return self.run.run_key, self.form.cell(str(self.setting))

    @property
    def name(self) -> str:
        """Protocol and corruption in words."""
        return f"{self.setting}, {self.form.corruption.cell}" if self.form.corruption else str(self.setting)

    @property
    def lock(self) -> Path:
        """Lock of the process that measures it."""
        return self.run.scope.lock_path(str(self.setting), self.form)


Plan: TypeAlias = Sequence[tuple[Run, Sequence[Cell]]]
"""Every run with its cells."""


@dataclass(frozen=True)
class Request:
    """What the user asked for, resolved but not yet planned.

    Attributes:
        seeds: empty for the preset's own.
        sources: other datasets to train on; with a method that adapts, those whose identities it learns. A method
            that does not train has no use for them.
        missing: rates at which training items lose sensors, one run for each; empty for that of the configuration.
    """

    methods: Sequence[str]
    preset: str
    seeds: Sequence[int]
    overrides: Overrides
    weights: Path | None = None
    sources: Sequence[DatasetIndex] = ()
    missing: Sequence[float] = ()

    def variants(self, card: MethodCard) -> Iterator[tuple[Overrides, Tree]]:
        """Yield the configuration of each run of a method, and what the user set of it but for the seed."""
        rates = [_lost(rate) for rate in dict.fromkeys(self.missing)] if card.trains else []
        for lost in rates or [{}]:
            given = merge(self.overrides.flags, lost)
            user = Overrides(self.overrides.file, self.overrides.assignments, given).tree()
            if not card.trains:
                given = merge(given, {"data": {"missing": 0.0}})
            for seed in [{"seed": seed} for seed in dict.fromkeys(self.seeds)] or [{}]:
                flags = merge(given, seed)
                yield Overrides(self.overrides.file, self.overrides.assignments, flags), user


def _lost(rate: float) -> Tree:
    """Return what is laid over a configuration for a rate: nothing for 0, which is the same run as without any."""
    return {"data": {"missing": rate}} if rate else {}


def plan_runs(request: Request, indexes: Iterable[DatasetIndex], store: Store) -> list[Run]:
    """Resolve every run of a request, datasets outermost; each split that is asked for has an index of its own.

    Raises:
        UnknownNameError: for an unknown method, preset or key.
        UsageError: for a value out of range, or one that given weights contradict; for a source that cannot be one.
        DataError: for given weights that cannot be used.
    """
    runs = []
    for index in indexes:
        for source in request.sources:
            check_source(index.card, source.card)
            check_folders(index, source)
        for name in request.methods:
            method = registry.card(name)
            sources = tuple(request.sources) if method.trains else ()
            for overrides, user in request.variants(method):
                resolved = partial(resolve_for, method, preset=request.preset, overrides=overrides)
                named = {"sources": tuple(source.card.name for source in sources)}
                config = resolved(index.card).model_copy(update=named)
                if request.weights:
                    given = _recognise(request.weights)
                    given.check_cameras(int(index.test.labels.camera.max()), index.card.title)
                    given.check_origin(index.card, resolved)
                    config = given.fit(config, user)
                elif config.init is not None and method.trains:
                    config = _recognise(Path(config.init)).fit(config, user, options_too=False)
                runs.append(Run(method, index, config, user, request.weights, store, sources))
    return runs


def _recognise(weights: Path) -> GivenWeights:
    from mdreid_bench.weights.weights_file import recognise  # needs torch

    return recognise(weights)


def plan_cells(run: Run, settings: Iterable[Setting], forms: Sequence[Form] = (PLAIN,)) -> list[Cell]:
    """Look up which cells of a run are stored; a record that cannot be believed counts as new."""
    cells, unfit = [], _cannot_train(run)
    refused = cache(lambda: run.method.skip(run.facts))  # asked last, and once, because that takes the method's code
    for setting in settings:
        found = _why_not(run, setting) or unfit
        for form in forms:
            record = run.scope.believed(str(setting), form)
            kind = replace(form.corruption, repetition=0) if form.corruption else None
            reason = found or (None if record else refused())
            reason = reason or (_untouched(run.index, setting, kind) if kind else None)
            cells.append(Cell(run, setting, record, form, reason))
    return cells


def corruptions_of(cells: Iterable[Cell]) -> list[Corruption | None]:
    """Return how the images are corrupted whose embeddings the new cells need; None stands for images as they are.

    These come first, because every cell needs them.
    """
    new = [cell.form.corruption for cell in cells if cell.state == "new"]
    return [None, *{found.images: found for found in new if found}.values()] if new else []


def unembedded(run: Run, cells: Iterable[Cell]) -> list[Corruption | None]:
    """Return those of :func:`corruptions_of` with which images have to be embedded, because nothing is stored."""
    return [corruption for corruption in corruptions_of(cells) if not run.has_embedded(corruption)]


def lacks_calibration(run: Run, cells: Iterable[Cell]) -> bool:
    """Tell whether cells want calibrated scores and none is stored for the weights of the run's embeddings."""
    if all(cell.form.calibration == "none" for cell in cells):
        return False
    found = StoredCalibration.read(run.store.folder(run.id).calibration)
    if found is None or not run.embeddings.items_file.exists():
        return True
    return found.weights != run.embeddings.read_items().weights


@lru_cache(maxsize=256)
def _untouched(index: DatasetIndex, setting: Setting, corruption: Corruption) -> str | None:
    """Say why a corruption changes no image that is compared under a setting; None where it does."""
    dataset, title = datasets.get(index.card.name), index.card.title
    if corruption.published and index.split != dataset.split(None):
        return f"{corruption.published} is made of the first split of {title}"
    reached = corruption.of(index.sensors).value
    for trial in dataset.trials(index.test, setting)[: 1 if corruption.published else None]:
        sides: dict[Side, NDArray[np.uint8]] = {"query": trial.query_sensors, "gallery": trial.gallery_sensors}
        if any(corruption.corrupts(side) and (sensors & reached).any() for side, sensors in sides.items()):
            return None
    where = {"both": "either side", "query": "the side of the queries", "gallery": "the side of the gallery"}
    return f"no image of {corruption.of(index.sensors)} is to be corrupted on {where[corruption.side]}"


def _why_not(run: Run, setting: Setting) -> str | None:
    """Say why the dataset, given weights or the method cannot serve a setting; None where all can."""
    card = run.index.card
    if lacking := card.lacks(setting):
        return lacking
    if unknown := [str(sensor) for sensor in setting.needs if sensor not in run.facts.modalities]:
        return f"the given weights know no {' and no '.join(unknown)}"
    if reason := run.card.refusal(setting, run.config.options, run.facts.modalities):
        return reason
    whole = card.complete and run.index.limit is None and setting.exclusion(card.exclusion, [0]) == card.exclusion
    return None if whole else _unanswered(run.index, setting)


@lru_cache(maxsize=256)
def _unanswered(index: DatasetIndex, setting: Setting) -> str | None:
    """Say why no query can be answered where not all test items are seen, or not with all sensors."""
    dataset, title = datasets.get(index.card.name), index.card.title
    trials = dataset.trials(index.test, setting)
    if not any(trial.query.size and trial.gallery.size for trial in trials):
        return f"{title} has no item with these sensors on one of the sides"
    if not queries(dataset, index.test, setting)[1].any():
        return f"no query of {title} has a gallery item of its identity{elsewhere(index.card)}"
    return None


def _cannot_train(run: Run) -> str | None:
    """Say what the data lack that a training needs; None where they lack nothing, or nothing is to be trained."""
    return run.stage.why_not() if run.card.trains and not run.weights else None
