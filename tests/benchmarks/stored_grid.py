"""Scores the 49-protocol grid from embeddings on disk in a process of its own and writes time and peak memory.

``python -m tests.benchmarks.stored_grid SCOPE_FOLDER`` writes one line of JSON: seconds, and bytes at the peak.
"""

import json
import re
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mdreid_bench.embedding.stored import EmbeddingFolder, StoredItems
from mdreid_bench.evaluation.cells import CellScorer
from mdreid_bench.results.run_facts import RunFacts
from mdreid_bench.results.store import Scope
from mdreid_bench.runs.scoring import WRITERS
from protocols.modality import RNT
from protocols.protocol import Protocol, protocols_of


def peak_bytes() -> int:
    """Return the largest resident memory of this process so far.

    Unlike ``getrusage``, this counts nothing of the process that started it.
    """
    status = Path("/proc/self/status").read_text(encoding="ascii")
    found = re.search(r"VmHWM:\s*(\d+) kB", status)
    assert found is not None
    return int(found[1]) * 1024


def score(items: StoredItems, scorer: CellScorer, protocols: Sequence[Protocol]) -> None:
    """Write a record for each protocol while the next are measured, as ``mdreid-bench run`` does."""
    with ThreadPoolExecutor(WRITERS) as pool:
        written = [pool.submit(scorer.scope.write, *scorer.measure(items, protocol)) for protocol in protocols]
        for record in written:
            record.result()


def main(folder: Path) -> None:
    """Score all protocols and write a record for each."""
    start = time.perf_counter()
    scope = Scope(folder)
    items = EmbeddingFolder(scope.embeddings).read_items()
    scorer = CellScorer(RunFacts.read(folder.parent / "run.json"), scope)
    score(items, scorer, protocols_of(RNT))
    taken = time.perf_counter() - start
    sys.stdout.write(json.dumps({"seconds": taken, "bytes": peak_bytes()}) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
