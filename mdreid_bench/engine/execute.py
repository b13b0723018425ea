"""Carrying out a run: train or load, extract or reuse, score what is new, write records."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
import yaml

from mdreid_bench.engine import checkpoint
from mdreid_bench.engine.device import device_name
from mdreid_bench.engine.extract import extract
from mdreid_bench.engine.plan import Cell, Run
from mdreid_bench.engine.train import Trainer
from mdreid_bench.evaluation.embeddings import TestItems
from mdreid_bench.evaluation.score import Scores, score
from mdreid_bench.models.method import Method
from mdreid_bench.progress import Reporter
from mdreid_bench.results import provenance
from mdreid_bench.results.atomic import write_text
from mdreid_bench.results.per_query import QueryValues
from mdreid_bench.results.schema import Counts, Interval, Metrics, Record

Done = Callable[[Cell, Record], None]


class Executor:
    """Carries out runs on one device.

    Args:
        device: to train and extract on.
        reporter: receives messages and progress.
    """

    def __init__(self, device: torch.device, reporter: Reporter) -> None:
        self.device, self.reporter = device, reporter
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
        self._write_config(run)
        if not run.embeddings.items_file.exists():
            self._extract(run)
        items = run.embeddings.read_items()
        with self.reporter.track(f"scoring {run.name}", len(new)) as step:
            for cell in new:
                done(cell, self._score(cell, items))
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

    def _score(self, cell: Cell, items: TestItems) -> Record:
        with self._phase("score"):
            scores = score(cell.run.embeddings, items, cell.setting)
        record = self._record(cell, items, scores)
        identities = items.labels.identity[items.query]
        values = QueryValues(items.names[items.query], identities, scores.per_query)
        cell.run.scope.write(record, values)
        return record

    def _record(self, cell: Cell, items: TestItems, scores: Scores) -> Record:
        run, trains = cell.run, cell.run.method.card.trains
        return Record(
            dataset=run.config.dataset,
            data_kind="synthetic" if run.index.synthetic else "real",
            train_fingerprint=run.index.train_fingerprint if trains else None,
            test_fingerprint=run.index.test_fingerprint,
            method=run.config.method,
            method_version=run.method.version,
            preset=run.config.preset,
            seed=run.config.seed,
            protocol=str(cell.setting),
            limit=run.index.limit,
            selection="last-epoch" if trains and not run.weights else "none",
            trunk=run.trunk_label,
            run_key=run.run_key,
            config_key=run.config_key,
            options=run.config.options,
            metrics=Metrics.of(scores.metrics),
            interval=Interval(mAP=scores.interval),
            chance=Metrics.of(scores.chance),
            counts=Counts(
                queries=scores.metrics.queries,
                queries_without_positive=scores.metrics.left_out,
                gallery=len(items.gallery),
                identities=scores.identities,
                tied_positives=int(scores.per_query.tied_positives.sum()),
            ),
            config_overrides=run.overrides,
            provenance=provenance.collect(device_name(self.device), self.seconds),
        )

    def _write_config(self, run: Run) -> None:
        tree = run.config.model_dump(mode="json")
        write_text(run.store.folder(run.id).config, yaml.safe_dump(tree, sort_keys=False))

    @contextmanager
    def _phase(self, name: str) -> Iterator[None]:
        """Add the time of a block to a phase of the record's provenance."""
        start = time.monotonic()
        yield
        self.seconds[name] = round(self.seconds.get(name, 0.0) + time.monotonic() - start, 3)
