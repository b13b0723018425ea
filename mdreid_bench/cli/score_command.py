"""``mdreid-bench score``: any metric again, from the embeddings stored with a run."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, Any

from mdreid_bench.cli.command import METHODS, OUTPUT, SCORING, option
from mdreid_bench.cli.console import Console
from mdreid_bench.cli.options import DataRoot, Device, Probes, ScoringOptions
from mdreid_bench.cli.values import count
from mdreid_bench.data import registry as datasets
from mdreid_bench.embedding.stored import EmbeddingFolder, StoredItems
from mdreid_bench.errors import MdreidError, UsageError
from mdreid_bench.evaluation.cells import CellScorer
from mdreid_bench.report.corruption import corruption_tables
from mdreid_bench.report.distractors import distractor_tables
from mdreid_bench.report.groups import group_records
from mdreid_bench.report.open_set import open_set_tables
from mdreid_bench.report.run_table import Absent, run_tables
from mdreid_bench.report.sensors import NOT_APPLICABLE, refused, unserved
from mdreid_bench.report.tidy import tidy
from mdreid_bench.results.finding import find_run, find_scope
from mdreid_bench.results.form import Form
from mdreid_bench.results.run_facts import RunFacts
from mdreid_bench.results.run_log import RunLog
from mdreid_bench.results.schema import Record
from mdreid_bench.results.storage.temporary import clear
from mdreid_bench.results.store import RunFolder, Scope, Store
from mdreid_bench.runs.scoring import Key, ToWrite, measure_cell, measured
from mdreid_bench.search.distractors import Source, measure, search
from mdreid_bench.search.recall import Recall, recall_table
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
    open_set: Annotated[
        bool,
        option(
            SCORING,
            "--open-set",
            "Enrol half of the identities, in 20 splits, and measure how many queries are found at how many false "
            "alarms of the others.",
            default=True,
        ),
    ] = False
    distractors: Annotated[
        str | None,
        option(
            SCORING,
            "--distractors",
            "Add these to the gallery, in nested subsets: test items of another dataset, the training items of the "
            "run's own, a folder of images, or one of stored vectors, R.npy for galleries with R.",
            metavar="<dataset or folder>",
        ),
    ] = None
    distractor_seed: Annotated[int, count(SCORING, "--distractor-seed", "Of these subsets.", default=True)] = 0
    factory: Annotated[
        list[str],
        option(
            SCORING,
            "--factory",
            "Also search the largest gallery with this FAISS index, such as IVF1024,PQ64; may be repeated.",
        ),
    ] = field(default_factory=list)
    probes: Probes = None
    data_root: DataRoot = None
    device: Device = "auto"
    force: Annotated[bool, option(OUTPUT, "--force", "Score again what is stored already.", default=True)] = False


def score(options: ScoreOptions) -> None:
    """Score runs again from their stored embeddings.

    Needs neither the model nor the images, which may be gone. Records that
    are there already are reused. In mixed and pooled galleries items with
    more sensors score lower than others, in MDReID's form; a calibration,
    which 'run --calibration standardised' makes, sets that right.

    Examples:

      mdreid-bench score --run msvr310-mdreid --protocol all

      mdreid-bench score --run 3f9c --protocol mixed --mix 0.3 --mix-seed 1

      mdreid-bench score --run 3f9c --protocol RNT-to-RNT
      --average-precision trapezoid

      mdreid-bench score --run 3f9c --protocol all --rerank 20,6,0.3

      mdreid-bench score --run 3f9c --protocol mixed --protocol pooled
      --calibration standardised

      mdreid-bench score --run 3f9c --corrupt random --corrupt-side query

      mdreid-bench score --run 3f9c --protocol all --open-set

      mdreid-bench score --run 3f9c --protocol R-to-N --distractors regdb
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
        asked = ("--open-set" if options.open_set else "") or ("--distractors" if options.distractors else "")
        if asked and (options.rerank or options.corruptions or options.calibration != "none"):
            raise UsageError(
                f"{asked} is measured by the scores themselves, on the images as they are; leave out --rerank, "
                "--corrupt and --calibration."
            )
        if options.factory and not options.distractors:
            raise UsageError("--factory goes with --distractors, whose gallery it searches; add it, or leave it out.")
        resolve(self.names)  # refuses unknown names before runs are looked for
        folders = {folder.path: folder for folder in (find_run(self.store, text) for text in options.runs)}
        self.found = [(find_scope(folder, options.limit), folder) for folder in folders.values()]
        self.gaps: list[Absent] = []
        self.recalls: dict[str, list[Recall]] = {}
        self.done = 0

    def score(self) -> None:
        """Score, print the tables and the path of the record, or of all of them when there are several.

        What several processes are asked for is scored by one of them.

        Raises:
            DataError: when stored embeddings are missing or damaged.
        """
        records = [record for scope, folder in self.found for record in self._records(scope, folder)]
        if self.options.as_json:
            told = {"measured": [*tidy(records)], "not_measured": [vars(gap) for gap in self.gaps]}
            searched = [{"cell": cell} | one.row() for cell, found in self.recalls.items() for one in found]
            self.console.json(told | ({"searched": searched} if searched else {}))
            return
        for table in run_tables([one for one in records if one.corruption is None], self.gaps):
            self.console.table(table)
        for table in corruption_tables(records):
            self.console.table(table)
        for group in group_records(records):
            for table in open_set_tables(group) if self.options.open_set else ():
                self.console.table(table)
            for table in distractor_tables(group) if self.options.distractors else ():
                self.console.table(table)
        for cell, found in self.recalls.items():
            self.console.table(recall_table(f"Approximate search, {cell}", found))
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
        stored: dict[Key, Record | None] = {}
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
                    stored[setting, form] = known if known and self._has_all(known) else None
        if None in stored.values():
            return self._score(scope, facts, stored, RunLog(folder.log, self.console))
        return [record for record in stored.values() if record is not None]

    def _score(self, scope: Scope, facts: RunFacts, stored: Mapping[Key, Record | None], log: RunLog) -> list[Record]:
        """Return the stored records and score what lacks one, unless another process does so meanwhile."""
        clear(scope.path)
        with log.failures():
            items = EmbeddingFolder(scope.embeddings).read_items()
            EmbeddingFolder(scope.embeddings).check_training(items, facts.training)
            whole = partial(self._measure, source=self._source(scope, facts, items, log), log=log)
        scorer = CellScorer(facts, scope, self.options.form, self.options.memory_budget)
        records, new = dict(stored), [key for key, known in stored.items() if known is None]
        with log.track(f"scoring {scope.path.parent.name}", len(new)) as step:
            for key, is_new, found in measured(new, scorer, items, log, whole):
                if isinstance(found, MdreidError):
                    raise found
                records[key] = found
                self.done += is_new
                step(note=str(key[0]))
        return [record for record in records.values() if record is not None]

    def _measure(
        self, scorer: CellScorer, items: StoredItems, setting: Setting, source: Source | None, log: RunLog
    ) -> ToWrite:
        """Measure a cell and what was asked for beyond its metrics, which are on the disk before that is begun."""
        found = measure_cell(scorer, items, setting, again=self.options.force)
        if source is None and not self.options.open_set:
            return found
        record = found() if callable(found) else found
        added = self._added(record, scorer, items, setting, source, log)
        return partial(scorer.scope.amend, record.model_copy(update=added)) if added else record

    def _has_all(self, record: Record) -> bool:
        """Tell whether a record has all that was asked for beyond its metrics, as far as it can tell by itself."""
        return not self.options.distractors and not (self.options.open_set and record.open_set is None)

    def _source(self, scope: Scope, facts: RunFacts, items: StoredItems, log: RunLog) -> Source | None:
        """Return the distractors that were asked for."""
        if self.options.distractors is None:
            return None
        from mdreid_bench.search.embed_distractors import Distracted, find_source

        run = Distracted(RunFolder(scope.path.parent), scope, facts, items)
        return find_source(self.options.distractors, run, self.options.data_root, self.options.device, log)

    def _added(
        self,
        record: Record,
        scorer: CellScorer,
        items: StoredItems,
        setting: Setting,
        source: Source | None,
        log: RunLog,
    ) -> dict[str, Any]:
        """Measure what was asked for beyond the metrics of a record, and is not in it."""
        added: dict[str, Any] = {}
        if self.options.open_set and record.open_set is None:
            added["open_set"] = scorer.open_set(items, setting)
        if source is not None:
            where = f"{setting} of {scorer.scope.path.parent.name} with {source.name}"
            for factory in self.options.factory:
                one = search(scorer, items, setting, source, factory, self.options.probes, log)
                self.recalls.setdefault(where, []).append(one)
            found = measure(scorer, items, setting, source, self.options.distractor_seed, log, record.distractors)
            others = [one for one in record.distractors if one.key != found.key]
            if found not in record.distractors:
                added["distractors"] = (*others, found)
        return added
