"""What a bundle holds.

::

    SHA256SUMS            the hash of every other file
    the model card        in Markdown: what was measured, on what, how, and how to make it again
    environment.json      code, libraries and machines behind the records
    runs/<run>/           as in a results folder (mdreid_bench/results/store.py): config.yaml, run.json, cost.json,
                          decoupling.json, and a record and its per-query values for each cell

Weights, embeddings and logs stay where they are.
"""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from mdreid_bench.bundles import archive, manifest
from mdreid_bench.bundles.model_card import model_card
from mdreid_bench.errors import DataError
from mdreid_bench.progress import Reporter
from mdreid_bench.results.run_facts import RunFacts, read_config
from mdreid_bench.results.schema import Record
from mdreid_bench.results.storage.hashes import canonical_json
from mdreid_bench.results.store import RunFolder, Store, load_record, read_values

CARD, ENVIRONMENT = "model-card.md", "environment.json"
OF_RUN = ("config.yaml", "run.json", "cost.json", "decoupling.json")
"""Files of a run that lie beside the folders of its records; the last two only where there are any."""
FORM = 1
"""Version of the form of bundles."""


def make_bundle(store: Store, runs: Sequence[RunFolder], out: Path, reporter: Reporter) -> list[Record]:
    """Write the records of runs, and what belongs to them, into a zip file; return the records.

    Equal results make equal bytes, whenever and wherever that is done.

    Raises:
        DataError: when a run has no records, a file of one must not be believed, or the file system refuses.
    """
    files: dict[str, Path | bytes] = {}
    records: list[Record] = []
    with reporter.track("reading what is bundled", len(runs)) as step:
        for run in sorted(runs, key=lambda one: one.path.name):
            read_config(run.config, RunFacts.read(run.facts))
            found = list(_cells(run))
            if not found:
                raise DataError(
                    f"The run {run.path} has no records; measure it with 'mdreid-bench run', or leave it out."
                )
            beside = (run.config, run.facts, run.cost, run.decoupling)
            paths = [*(path for path in beside if path.exists()), *(path for path, _ in found)]
            paths += [path.with_name(str(record.per_query)) for path, record in found]
            files |= {path.relative_to(store.root).as_posix(): path for path in paths}
            records += [record for _, record in found]
            step()
    files[CARD] = model_card(records, lambda record: store.folder(record).path).encode()
    files[ENVIRONMENT] = (json.dumps(environment(records), indent=2, ensure_ascii=False) + "\n").encode()
    archive.write_zip(out, files | {manifest.NAME: manifest.manifest(files).encode()})
    return records


def environment(records: Iterable[Record]) -> dict[str, object]:
    """Return the code, the libraries and the machines behind records, each combination once, without times."""
    made = [r.provenance.model_dump(mode="json", exclude={"created", "phase_seconds"}) for r in records]
    distinct = {canonical_json(one): one for one in made}
    return {"form": FORM, "environments": [distinct[text] for text in sorted(distinct)]}


def _cells(run: RunFolder) -> Iterable[tuple[Path, Record]]:
    for scope in sorted(path for path in run.path.iterdir() if path.is_dir()):
        for path in sorted(scope.glob("*.json")):
            record = load_record(path)
            read_values(path, record)
            yield path, record
