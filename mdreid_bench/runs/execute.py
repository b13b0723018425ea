"""Carrying out a run: train or load, extract or reuse, score what is new, write records."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from mdreid_bench.embedding.derive import derive
from mdreid_bench.embedding.extract import extract
from mdreid_bench.embedding.stored import TestItems
from mdreid_bench.errors import MdreidError
from mdreid_bench.evaluation.cells import CellScorer
from mdreid_bench.evaluation.cost import embedding_cost
from mdreid_bench.models.method import Method
from mdreid_bench.processes.device import device_name, pick_precision
from mdreid_bench.processes.ranks import ALONE, Ranks
from mdreid_bench.progress import Reporter
from mdreid_bench.results.run_facts import RunFacts
from mdreid_bench.results.run_log import RunLog
from mdreid_bench.results.schema import Record
from mdreid_bench.results.storage.atomic import write_json
from mdreid_bench.results.storage.hashes import canonical_hash
from mdreid_bench.results.storage.lock import attempt, in_use, locked
from mdreid_bench.runs.facts import describe
from mdreid_bench.runs.follow import Order
from mdreid_bench.runs.plan import Cell, Run
from mdreid_bench.runs.tidy import tidy
from mdreid_bench.training.nonfinite import OnNan
from mdreid_bench.training.train import Trainer
from mdreid_bench.weights import checkpoint, weights_file
from protocols.ranking import DEFAULT_MEMORY_BUDGET

Done = Callable[[Cell, Record], None]
Failed = Callable[[Cell, MdreidError], None]


class Executor:
    """Carries out runs on one device; several processes may do so in one results folder.

    Args:
        device: to train and extract on.
        reporter: receives messages and progress.
        memory_budget: bytes for scores.
        on_nan: what training does with a batch whose loss or gradient is not finite.
        ranks: the processes that share the work, of which this one leads; the others follow.
    """

    def __init__(
        self,
        device: torch.device,
        reporter: Reporter,
        memory_budget: int = DEFAULT_MEMORY_BUDGET,
        on_nan: OnNan = "stop",
        ranks: Ranks = ALONE,
    ) -> None:
        self.device, self.reporter, self.memory_budget, self.on_nan = device, reporter, memory_budget, on_nan
        self.ranks = ranks

    def execute(self, run: Run, cells: Sequence[Cell], done: Done, failed: Failed | None = None) -> None:
        """Measure the new cells of a run; nothing is trained or extracted that is stored already.

        Args:
            run: what to evaluate.
            cells: of this run.
            done: called with each cell as soon as its record is there; the cell has the record, too, when it was
                stored before or measured by another process.
            failed: called with a cell that cannot be measured and the reason; without it, the reason is raised.

        Raises:
            MdreidError: when the run cannot go on; records written so far stay.
        """
        tidy(run)
        for cell in cells:
            if cell.record is not None:
                done(cell, cell.record)
        new = [cell for cell in cells if cell.record is None]
        if new:
            _Execution(self, run).carry_out(new, done, failed)

    @staticmethod
    def is_taken(run: Run) -> bool:
        """Tell whether another process is training or extracting for a run at this moment."""
        if run.embedded:
            return False
        return in_use(run.embedding_lock) or (run.must_train and in_use(run.training_folder.lock))


class _Execution:
    """One run on its way, with a log file of its own."""

    def __init__(self, executor: Executor, run: Run) -> None:
        self.run, self.device, self.on_nan, self.ranks = run, executor.device, executor.on_nan, executor.ranks
        self.memory_budget = executor.memory_budget
        self.log = RunLog(run.store.folder(run.id).log, executor.reporter)
        self.seconds: dict[str, float] = {}

    def carry_out(self, cells: Sequence[Cell], done: Done, failed: Failed | None) -> None:
        """Provide the embeddings, then measure the cells; those that another process is measuring come last."""
        run = self.run
        facts = describe(run)
        self.log.note(f"{run.name}: {len(cells)} cells to measure on {self.device.type}, run key {run.run_key}")
        with self.log.failures():
            if not run.embeddings.items_file.exists():
                self._embed(run)
            items = run.embeddings.read_items()
            with self.log.track(f"scoring {run.name}", len(cells)) as step:
                taken = []
                for cell in cells:
                    with attempt(_cell_lock(cell)) as held:
                        if held is None:
                            taken.append(cell)
                            continue
                        self._measure(cell, facts, items, done, failed)
                    step(note=str(cell.setting))
                for cell in taken:
                    with locked(_cell_lock(cell), f"{cell.setting} of {run.name}", self.log):
                        self._measure(cell, facts, items, done, failed)
                    step(note=str(cell.setting))

    def _measure(self, cell: Cell, facts: RunFacts, items: TestItems, done: Done, failed: Failed | None) -> None:
        """Score a cell that is locked, unless another process did so before."""
        stored = cell.run.scope.believed(str(cell.setting), cell.average_precision)
        if stored is not None:
            done(replace(cell, record=stored), stored)
            return
        try:
            record = self._scorer(cell, facts)(items, cell.setting)
        except MdreidError as error:
            if failed is None:
                raise
            self.log.note(f"failed: {cell.setting}: {error}")
            failure = error
        else:
            done(cell, record)
            return
        failed(cell, failure)

    def _embed(self, run: Run) -> None:
        """Provide the embeddings of a run, unless another process does: derived from its source's, or extracted."""
        with locked(run.embedding_lock, f"the embeddings of {run.name}", self.log):
            if run.embeddings.items_file.exists():
                return
            if run.source is None:
                method = self._trained(run)
                # Written before the extraction: once embeddings exist, this branch never runs again.
                write_json(run.store.folder(run.id).cost, _cost(method, run))
                with self._phase("extract"):
                    self._extract(method, run)
                return
            if not run.source.embedded:
                describe(run.source)
                self._embed(run.source)
            derive(run, run.source)

    def _trained(self, run: Run) -> Method:
        """Build the method and give it its weights: the user's file, stored ones, or freshly trained ones."""
        method = run.build()
        if run.weights:
            weights_file.load(run.weights, method, run.config)
        elif run.method.card.trains:
            folder = run.training_folder
            with locked(folder.lock, f"the training of {run.name}", self.log):
                if not folder.weights.exists():
                    with self._phase("train"):
                        self._train(method, run)
            checkpoint.load_weights(folder.weights, method)
        return method

    def _train(self, method: Method, run: Run) -> None:
        folder, on, ranks = run.training_folder, self.device, self.ranks
        ranks.agree(Order("train", run.run_key, pick_precision(run.config.precision, on, method)))
        trainer = ranks.together(
            lambda: Trainer(method, run.index, run.config, folder, on, self.log, self.on_nan, ranks)
        )
        trainer.run()

    def _extract(self, method: Method, run: Run) -> None:
        precision = pick_precision(run.config.evaluation.precision, self.device, method)
        self.ranks.agree(Order("extract", run.run_key, precision))
        self.ranks.together(lambda: None)  # the others build the method meanwhile
        self.ranks.share_weights(method)
        extract(method, run.index, run.config, run.embeddings, self.device, self.log, self.ranks)

    def _scorer(self, cell: Cell, facts: RunFacts) -> CellScorer:
        return CellScorer(
            facts=facts,
            scope=cell.run.scope,
            average_precision=cell.average_precision,
            memory_budget=self.memory_budget,
            gpu=device_name(self.device),
            seconds=self.seconds,
        )

    @contextmanager
    def _phase(self, name: str) -> Iterator[None]:
        """Add the time of a block to a phase of the record's provenance."""
        start = time.monotonic()
        yield
        self.seconds[name] = round(self.seconds.get(name, 0.0) + time.monotonic() - start, 3)


def _cost(method: Method, run: Run) -> dict[str, Any]:
    """Count one item with all three images; the digest tells whether the counts were changed later."""
    cost = embedding_cost(method, run.config.image_size)
    counts = {"parameters": cost.parameters, "multiply_adds": cost.multiply_adds}
    return counts | {"digest": canonical_hash(counts)}


def _cell_lock(cell: Cell) -> Path:
    return cell.run.scope.lock_path(str(cell.setting), cell.average_precision)
