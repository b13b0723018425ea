"""The steps behind ``score``: find the runs, score what is not stored, show tables."""

from collections.abc import Sequence
from pathlib import Path

from mdreid_bench.cli.console import Console
from mdreid_bench.cli.scoring_options import Scoring
from mdreid_bench.evaluation.cells import CellScorer
from mdreid_bench.evaluation.embeddings import EmbeddingFolder
from mdreid_bench.report.run_table import run_tables
from mdreid_bench.results.finding import find_run, find_scope
from mdreid_bench.results.run_facts import RunFacts
from mdreid_bench.results.schema import Record
from mdreid_bench.results.store import Scope, Store


class ScoreSession:
    """One call of ``score``; all runs are found before anything is scored.

    Args:
        results: the results folder.
        runs: as typed.
        limit: whose evaluations to use.
        scoring: what to score and how.
        console: to show things on.

    Raises:
        UnknownNameError: for a run that does not exist.
        UsageError: for an ambiguous one.
        DataError: for one without stored evaluations.
    """

    def __init__(
        self, results: Path, runs: Sequence[str], limit: int | None, scoring: Scoring, console: Console
    ) -> None:
        self.scoring, self.console, self.store = scoring, console, Store(results)
        folders = {folder.path: folder for folder in (find_run(self.store, text) for text in runs)}
        self.found = [(find_scope(folder, limit), folder.facts) for folder in folders.values()]

    def carry_out(self, *, force: bool) -> None:
        """Score, print the tables and the path of the record, or of all of them when there are several.

        Args:
            force: score again what is stored already.

        Raises:
            DataError: when stored embeddings are missing or damaged.
        """
        by_run = [self._records(scope, facts, force) for scope, facts in self.found]
        records = [record for group in zip(*by_run, strict=True) for record in group]
        for table in run_tables(records):
            self.console.table(table)
        if len(records) == 1:
            scope, _ = self.found[0]
            self.console.result(scope.record_path(records[0].protocol, records[0].average_precision))
        else:
            self.console.result(self.store.runs)

    def _records(self, scope: Scope, facts: Path, force: bool) -> list[Record]:
        form, found = self.scoring.average_precision, {}
        for setting in self.scoring.settings:
            record = None if force else scope.believed(str(setting), form)
            if record is not None:
                found[setting] = record
        new = [setting for setting in self.scoring.settings if setting not in found]
        if new:
            items = EmbeddingFolder(scope.embeddings).read_items()
            scorer = CellScorer(RunFacts.read(facts), scope, form, self.scoring.memory_budget)
            with self.console.track(f"scoring {scope.path.parent.name}", len(new)) as step:
                for setting in new:
                    found[setting] = scorer(items, setting)
                    step(note=str(setting))
        return [found[setting] for setting in self.scoring.settings]
