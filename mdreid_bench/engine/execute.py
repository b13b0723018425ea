"""Carrying out a run: train or load, extract or reuse, score what is new, write records."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
import yaml

from mdreid_bench.engine import checkpoint
from mdreid_bench.engine.device import device_name
from mdreid_bench.engine.extract import extract
from mdreid_bench.engine.facts import facts_of
from mdreid_bench.engine.plan import Cell, Run
from mdreid_bench.engine.train import Trainer
from mdreid_bench.evaluation.cells import CellScorer
from mdreid_bench.models.method import Method
from mdreid_bench.progress import Reporter
from mdreid_bench.results.atomic import write_text
from mdreid_bench.results.run_facts import RunFacts
from mdreid_bench.results.schema import Record
from protocols.ranking import DEFAULT_MEMORY_BUDGET

Done = Callable[[Cell, Record], None]


class Executor:
    """Carries out runs on one device.

    Args:
        device: to train and extract on.
        reporter: receives messages and progress.
        memory_budget: bytes for scores.
    """

    def __init__(self, device: torch.device, reporter: Reporter, memory_budget: int = DEFAULT_MEMORY_BUDGET) -> None:
        self.device, self.reporter, self.memory_budget = device, reporter, memory_budget
        self.seconds: dict[str, float] = {}

    def execute(self, run: Run, cells: Sequence[Cell], done: Done) -> None:
        """Measure the new cells of a run; nothing is trained or extracted that is stored already.

        Args:
            run: what to evaluate.
            cells: of this run.
            done: called with each cell as soon as its record is there, cached ones included.

        Raises:
            MdreidError: when the run cannot go on; records written so far stay.
        """
        self.seconds = {}
        new = [cell for cell in cells if cell.record is None]
        for cell in cells:
            if cell.record is not None:
                done(cell, cell.record)
        if not new:
            return
        facts = self._describe(run)
        if not run.embeddings.items_file.exists():
            self._extract(run)
        items = run.embeddings.read_items()
        with self.reporter.track(f"scoring {run.name}", len(new)) as step:
            for cell in new:
                done(cell, self._scorer(cell, facts)(items, cell.setting))
                step(note=str(cell.setting))

    def _extract(self, run: Run) -> None:
        method = self._trained(run)
        with self._phase("extract"):
            extract(method, run.index, run.config, run.embeddings, self.device, self.reporter)

    def _trained(self, run: Run) -> Method:
        """Build the method and give it its weights: the user's file, stored ones, or freshly trained ones."""
        torch.manual_seed(run.config.seed)
        method = run.method.build(run.config, run.facts)
        if run.weights:
            checkpoint.load_weights(run.weights, method)
        elif run.method.card.trains:
            folder = run.training_folder
            if not folder.weights.exists():
                with self._phase("train"):
                    Trainer(method, run.index, run.config, folder, self.device, self.reporter).run()
            checkpoint.load_weights(folder.weights, method)
        return method

    def _scorer(self, cell: Cell, facts: RunFacts) -> CellScorer:
        return CellScorer(
            facts=facts,
            scope=cell.run.scope,
            average_precision=cell.average_precision,
            memory_budget=self.memory_budget,
            gpu=device_name(self.device),
            seconds=self.seconds,
        )

    def _describe(self, run: Run) -> RunFacts:
        """Store the configuration and the facts of a run beside its evaluations."""
        folder, facts = run.store.folder(run.id), facts_of(run)
        tree = run.config.model_dump(mode="json")
        write_text(folder.config, yaml.safe_dump(tree, sort_keys=False))
        facts.write(folder.facts)
        return facts

    @contextmanager
    def _phase(self, name: str) -> Iterator[None]:
        """Add the time of a block to a phase of the record's provenance."""
        start = time.monotonic()
        yield
        self.seconds[name] = round(self.seconds.get(name, 0.0) + time.monotonic() - start, 3)
