"""``mdreid-bench score``: any metric again, from the embeddings stored with a run."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated

from mdreid_bench.cli.command import METHODS, OUTPUT, option
from mdreid_bench.cli.console import Console
from mdreid_bench.cli.options import ScoringOptions
from mdreid_bench.data import registry as datasets
from mdreid_bench.embedding.stored import EmbeddingFolder
from mdreid_bench.evaluation.cells import CellScorer
from mdreid_bench.report.corruption import corruption_tables
from mdreid_bench.report.run_table import Absent, run_tables
from mdreid_bench.report.sensors import NOT_APPLICABLE, refused, unserved
from mdreid_bench.report.tidy import tidy
from mdreid_bench.results.finding import find_run, find_scope
from mdreid_bench.results.form import Form
from mdreid_bench.results.run_facts import RunFacts
from mdreid_bench.results.run_log import RunLog
from mdreid_bench.results.schema import Record
from mdreid_bench.results.storage.lock import locked
from mdreid_bench.results.storage.temporary import clear
from mdreid_bench.results.store import RunFolder, Scope, Store
from protocols.suites import Setting, resolve


@dataclass(frozen=True, kw_only=True)
class ScoreOptions(ScoringOptions):
    """What ``score`` takes."""

    runs: Annotated[
        list[str],
        option(
            METHODS,
            "--run",
            "A run: any part of its folder's name, or of its key, that no other has; may be repeated.",
        ),
    ]
    force: Annotated[bool, option(OUTPUT, "--force", "Score again what is stored already.", default=True)] = False


def score(options: ScoreOptions) -> None:
    """Score runs again from their stored embeddings.

    Needs neither the model nor the images, which may be gone. Records that
    are there already are reused.

    Examples:

      mdreid-bench score --run msvr310-mdreid --protocol all

      mdreid-bench score --run 3f9c --protocol mixed --mix 0.3 --mix-seed 1

      mdreid-bench score --run 3f9c --protocol RNT-to-RNT
      --average-precision trapezoid

      mdreid-bench score --run 3f9c --protocol all --rerank 20,6,0.3

      mdreid-bench score --run 3f9c --corrupt random --corrupt-side query
    """
    ScoreSession(options, Console()).score()


class ScoreSession:
    """One call of ``score``; all runs are found before anything is scored.

    Raises:
        UnknownNameError: for a run that does not exist.
        UsageError: for an ambiguous one.
        DataError: for one without stored evaluations.
    """

    def __init__(self, options: ScoreOptions, console: Console) -> None:
        self.options, self.console, self.store = options, console, Store(options.results)
        self.names = options.settings()
        options.check_corruptions([])
        resolve(self.names)  # refuses unknown names before runs are looked for
        folders = {folder.path: folder for folder in (find_run(self.store, text) for text in options.runs)}
        self.found = [(find_scope(folder, options.limit), folder) for folder in folders.values()]
        self.gaps: list[Absent] = []
        self.done = 0

    def score(self) -> None:
        """Score, print the tables and the path of the record, or of all of them when there are several.

        What several processes are asked for is scored by one of them.

        Raises:
            DataError: when stored embeddings are missing or damaged.
        """
        records = [record for scope, folder in self.found for record in self._records(scope, folder)]
        if self.options.as_json:
            self.console.json({"measured": [*tidy(records)], "not_measured": [vars(gap) for gap in self.gaps]})
            return
        for table in run_tables([one for one in records if one.corruption is None], self.gaps):
            self.console.table(table)
        for table in corruption_tables(records):
            self.console.table(table)
        unfit = f", {len(self.gaps)} not applicable" if self.gaps else ""
        self.console.message(f"Cells: {len(records) - self.done} reused, {self.done} done{unfit}.")
        if len(records) == 1:
            folder = self.store.folder(records[0])
            self.console.result(folder.scope(records[0].limit).path_of(records[0]))
        elif records:
            self.console.result(self.store.runs)

    def _records(self, scope: Scope, folder: RunFolder) -> list[Record]:
        """Return the stored records of a run and score what lacks one; note what cannot be served."""
        facts = RunFacts.read(folder.facts)
        stored: dict[tuple[Setting, Form], Record | None] = {}
        names = self.names or datasets.get(facts.shared.dataset).card.default_protocols
        forms: tuple[Form, ...] = (self.options.form,)
        if self.options.corruptions:
            forms = self.options.with_corruptions(self.options.form, datasets.get(facts.shared.dataset).card)
        for setting in resolve(names, facts.modalities):
            lacking = " and ".join(f"no {sensor}" for sensor in setting.needs if sensor not in facts.modalities)
            reason = f"{NOT_APPLICABLE}: {facts.shared.dataset} has {lacking}" if lacking else None
            named = [str(setting)]
            reason = reason or refused(facts.shared.method, facts.shared.options, facts.modalities, named)
            if reason := unserved(facts.shared.dataset, named) or reason:
                self.gaps.append(Absent(facts.shared.dataset, facts.shared.method, str(setting), reason))
            else:
                for form in forms:
                    known = None if self.options.force else scope.believed(str(setting), form)
                    stored[setting, form] = known
        if None in stored.values():
            log = RunLog(folder.log, self.console)
            with log.failures():
                return self._score(scope, facts, stored, log)
        return [record for record in stored.values() if record is not None]

    def _score(
        self, scope: Scope, facts: RunFacts, stored: Mapping[tuple[Setting, Form], Record | None], log: RunLog
    ) -> list[Record]:
        """Return the stored records and score what lacks one, unless another process does so meanwhile."""
        options, records, name = self.options, [], scope.path.parent.name
        clear(scope.path)
        items = EmbeddingFolder(scope.embeddings).read_items()
        EmbeddingFolder(scope.embeddings).check_training(items, facts.training)
        scorer = CellScorer(facts, scope, options.form, options.memory_budget)
        with log.track(f"scoring {name}", sum(record is None for record in stored.values())) as step:
            for (setting, form), known in stored.items():
                if known is not None:
                    records.append(known)
                    continue
                with locked(scope.lock_path(str(setting), form), f"{setting} of {name}", log):
                    found = None if options.force else scope.believed(str(setting), form)
                    records.append(found or replace(scorer, form=form)(items, setting))
                    self.done += found is None
                step(note=str(setting))
        return records
