"""Carrying out a plan: train or load, extract or reuse, score what is new, write records; on one process or many."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import torch

from mdreid_bench.embedding.extract import derive, extract
from mdreid_bench.embedding.vectors import check_contract, package_of
from mdreid_bench.errors import MdreidError, expected
from mdreid_bench.evaluation.cells import CellScorer
from mdreid_bench.evaluation.cost import embedding_cost
from mdreid_bench.models.method import Method
from mdreid_bench.plugins import OWN
from mdreid_bench.processes.device import device_name, pick_precision
from mdreid_bench.processes.ranks import ALONE, PeerGoneError, Ranks
from mdreid_bench.progress import Reporter, Silent
from mdreid_bench.results.form import PLAIN
from mdreid_bench.results.run_log import RunLog
from mdreid_bench.results.storage.hashes import content_hash
from mdreid_bench.results.storage.lock import in_use, locked
from mdreid_bench.results.storage.place import write_sealed
from mdreid_bench.runs.calibration import calibrate
from mdreid_bench.runs.decoupling import copy_of_source, watch_end, watch_start
from mdreid_bench.runs.facts import describe, trained_with
from mdreid_bench.runs.outcome import UNFIT, Outcome, settled
from mdreid_bench.runs.plan import Cell, Plan, corruptions_of, lacks_calibration, unembedded
from mdreid_bench.runs.preflight import check_runs
from mdreid_bench.runs.run import Run
from mdreid_bench.runs.scoring import measured
from mdreid_bench.runs.tidy import tidy
from mdreid_bench.training.nonfinite import OnNan
from mdreid_bench.training.train import Trainer
from mdreid_bench.training.watched import write_events
from mdreid_bench.weights import checkpoint, weights_file
from mdreid_bench.wording import counted
from protocols.corruption import Corruption
from protocols.ranking import DEFAULT_MEMORY_BUDGET


@dataclass(frozen=True)
class Means:
    """What a plan is carried out with: bytes for scores, whether trainings leave events of TensorBoard, and so on.

    ``begin`` is told of each run that measures something.
    """

    device: torch.device
    reporter: Reporter
    memory_budget: int = DEFAULT_MEMORY_BUDGET
    on_nan: OnNan = "stop"
    ranks: Ranks = ALONE
    tensorboard: bool = False
    begin: Callable[[Run], None] = lambda run: None


@dataclass(frozen=True)
class _Job:
    """One run on its way: what it is carried out with, where it is logged, and how long its phases took."""

    means: Means
    log: RunLog
    seconds: dict[str, float] = field(default_factory=dict)
    methods: dict[str, Method] = field(default_factory=dict)
    """By run key, with their weights: loaded once for however many ways in which images are corrupted."""

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Add the time of a block to a phase of the record's provenance."""
        start = time.monotonic()
        yield
        self.seconds[name] = round(self.seconds.get(name, 0.0) + time.monotonic() - start, 3)

    @contextmanager
    def alone_at(self, path: Path, what: str) -> Iterator[None]:
        """Hold a lock for the block, which the leader takes for all processes that share the work."""
        with ExitStack() as stack:
            with self.means.ranks.together():
                if self.means.ranks.leads:
                    stack.enter_context(locked(path, what, self.log))
            yield


def execute(plan: Plan, means: Means, *, keep_going: bool = True) -> Iterator[Outcome]:
    """Measure the new cells of a plan, and yield an outcome for each of its cells as soon as it is known.

    Nothing is trained or extracted that is stored already. Runs that another command is busy with come last. Of
    several processes that share the work, all go through the same plan: what the leader finds on disk holds for all,
    what fails in one fails in all, and the leader alone scores, writes and yields. When a cell fails, the others are
    finished unless ``keep_going`` is off.

    Raises:
        UsageError: before anything is trained, when a training set cannot fill a batch.
        DataError: likewise, when weights of the trunk are not to be had.
        PeerGoneError: in a process that follows, when another has ended.
    """
    ranks, settled = means.ranks, set[tuple[str, str]]()
    with ranks.together():
        check_runs(plan, means.device)
    for run, cells in _free_ones_first(plan, ranks):
        stop = gone = False
        try:
            for outcome in _one_run(run, cells, means):
                settled.add(outcome.cell.key)
                yield outcome
                if stop := outcome.error is not None and not keep_going:
                    break
        except Exception as error:
            gone = isinstance(error, PeerGoneError)
            if gone and not ranks.leads:
                raise
            stop = not keep_going
            left = [cell for cell in cells if cell.key not in settled] if ranks.leads else []
            settled |= {cell.key for cell in left}
            where = f"{run.name}, {left[0].name}" if len(left) == 1 else run.name
            failure = expected(error)
            yield from (Outcome(cell, "failed", error=failure, where=where) for cell in left)
        if gone or ranks.agree(stop):
            break
    if ranks.leads:
        rest = [cell for _, cells in plan for cell in cells if cell.key not in settled]
        yield from (Outcome(cell, UNFIT if cell.state == UNFIT else "skipped") for cell in rest)


def _free_ones_first(plan: Plan, ranks: Ranks) -> Iterator[tuple[Run, Sequence[Cell]]]:
    """Yield the runs of a plan, at last those that another command is training or extracting for."""
    busy = []
    for run, cells in plan:
        with ranks.together():
            taken = ranks.leads and _is_taken(run, cells)
        if ranks.agree(taken):
            busy.append((run, cells))
        else:
            yield run, cells
    yield from busy


def _is_taken(run: Run, cells: Sequence[Cell]) -> bool:
    locks = [run.embeddings_of(corruption).lock for corruption in unembedded(run, cells)]
    return any(map(in_use, locks)) or (bool(locks) and run.must_train and in_use(run.training_folder.lock))


def _one_run(run: Run, cells: Sequence[Cell], means: Means) -> Iterator[Outcome]:
    """Provide the embeddings of a run, then measure its new cells; those that others are measuring come last."""
    ranks = means.ranks
    with ranks.together():
        if ranks.leads:
            tidy(run)
    if ranks.leads:
        yield from settled(cells)
    new = [cell for cell in cells if cell.state == "new"]
    with ranks.together():
        uncalibrated = lacks_calibration(run, cells)
    if not ranks.agree(len(new) or uncalibrated):
        return
    path, reporter = (run.store.folder(run.id).log, means.reporter) if ranks.leads else (Path(os.devnull), Silent())
    job = _Job(means, RunLog(path, reporter))
    with ranks.together():
        facts = describe(run) if ranks.leads else None
    if ranks.leads:
        means.begin(run)
    job.log.note(f"{run.name}: {counted(len(new), 'cell')} to measure on {means.device.type}, run key {run.run_key}")
    with job.log.failures():
        for corruption in ranks.agree(corruptions_of(new) or [None]):
            _provide(run, job, corruption)
        if ranks.agree(uncalibrated):
            method = _with_weights(run, job)
            with job.phase("calibrate"), ranks.together():
                if ranks.leads:
                    calibrate(run, method, means.device, job.log)
    if facts is None:
        return
    with job.log.failures():
        items = run.embeddings.read_items()
        run.embeddings.check_training(items, facts.training)
    scorer = CellScorer(facts, run.scope, PLAIN, means.memory_budget, device_name(means.device), job.seconds)
    keys = {(cell.setting, cell.form): cell for cell in new}
    with job.log.track(f"scoring {run.title}", len(new)) as step:
        for key, is_new, found in measured(list(keys), scorer, items, job.log):
            cell = keys[key]
            step(note=cell.name)
            if isinstance(found, MdreidError):
                yield Outcome(cell, "failed", error=found, where=f"{run.name}, {cell.name}")
            else:
                yield Outcome(cell, "done" if is_new else "reused", found)


def _provide(run: Run, job: _Job, corruption: Corruption | None) -> None:
    """Provide the embeddings of a run, unless they are stored: derived from its source's, or extracted."""
    ranks, folder = job.means.ranks, run.embeddings_of(corruption)
    stored = folder.items_file
    if ranks.agree(stored.exists()):
        return
    what = f"the embeddings of {run.name}{f', {corruption.images}' if corruption else ''}"
    with job.alone_at(folder.lock, what):
        if ranks.agree(stored.exists()):
            return
        if run.source is None:
            _extract(run, job, corruption)
            return
        with ranks.together():
            if ranks.leads and not run.source.has_embedded(corruption):
                describe(run.source)
        _provide(run.source, job, corruption)
        with ranks.together():
            if ranks.leads:
                options, known = run.config.options, run.facts.modalities
                convert = partial(run.method.derive, options=options, sensors=known)
                derive(run.method, run.source.embeddings_of(corruption), folder, convert)
                if corruption is None:
                    copy_of_source(run)


def _extract(run: Run, job: _Job, corruption: Corruption | None) -> None:
    """Embed the test images of a run; corrupted ones in the precision in which they were embedded as they are."""
    ranks, config = job.means.ranks, run.config
    method, threads, trained = _with_weights(run, job), None, ""
    with ranks.together():
        if ranks.leads:
            threads = trained_with(run)
            trained = content_hash(run.training_folder.weights) if run.trains else ""
            if corruption is None:  # before the extraction: once that is complete, nothing would ask for it again
                cost = embedding_cost(method, config.image_size, run.facts.modalities)
                counts = {"parameters": cost.parameters, "multiply_adds": cost.multiply_adds}
                write_sealed(run.store.folder(run.id).cost, counts)
                watch_end(run, method, job.means.device, job.log)
            else:
                precision = run.embeddings.read_items().precision
                section = config.evaluation.model_copy(update={"precision": precision})
                config = config.model_copy(update={"evaluation": section})
    config = ranks.agree(config)
    with job.phase("extract" if corruption is None else "extract corrupted"):
        where = (run.embeddings_of(corruption), job.means.device, job.log, ranks)
        extract(method, run.index, config, *where, threads, trained, corruption)


def _with_weights(run: Run, job: _Job) -> Method:
    """Build the method, once, and give it its weights: the user's file, stored ones, or freshly trained ones."""
    if run.run_key in job.methods:
        return job.methods[run.run_key]
    ranks, device, folder = job.means.ranks, job.means.device, run.training_folder
    with ranks.together():
        method = run.build()
        if ranks.leads and package_of(run.method) not in OWN:
            declared = run.feature_batch is not None
            check_contract(method, run.facts.modalities, run.config.image_size, batch_dependent=declared)
    if run.trains:
        with job.alone_at(folder.lock, f"the training of {run.name}"):
            if not ranks.agree(folder.weights.exists()):
                precision = ranks.agree(pick_precision(run.config.precision, device, method.token_width))
                config = run.config.model_copy(update={"precision": precision})
                with ranks.together():
                    if run.config.init is not None:
                        job.log.message(weights_file.start(Path(run.config.init), method, run.config))
                    if ranks.leads:
                        watch_start(run, method, device, job.log)
                with job.phase("train"):
                    with ranks.together():
                        on_nan, stage = job.means.on_nan, run.stage
                        where = (config, folder, device, job.log, on_nan, ranks, stage, job.means.tensorboard)
                        trainer = Trainer(method, run.index, *where)
                    trainer.run()
            elif job.means.tensorboard and ranks.leads:
                write_events(folder)
    with ranks.together():
        if ranks.leads and run.weights:
            weights_file.load(run.weights, method, run.config)
        elif ranks.leads and run.trains:
            checkpoint.load_weights(folder.weights, method)
    ranks.share_weights(method)
    job.methods[run.run_key] = method
    return method
