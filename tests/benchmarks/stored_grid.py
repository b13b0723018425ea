"""Scores the 49-protocol grid from embeddings on disk in a process of its own and writes time and peak memory.

``python -m tests.benchmarks.stored_grid SCOPE_FOLDER`` writes one line of JSON: seconds, and bytes at the peak.
"""

import json
import re
import sys
import time
from pathlib import Path

from mdreid_bench.embedding.stored import EmbeddingFolder
from mdreid_bench.evaluation.cells import CellScorer
from mdreid_bench.results.run_facts import RunFacts
from mdreid_bench.results.store import Scope
from protocols.modality import RNT
from protocols.protocol import protocols_of


def peak_bytes() -> int:
    """Return the largest resident memory of this process so far.

    Unlike ``getrusage``, this counts nothing of the process that started it.
    """
    status = Path("/proc/self/status").read_text(encoding="ascii")
    found = re.search(r"VmHWM:\s*(\d+) kB", status)
    assert found is not None
    return int(found[1]) * 1024


def main(folder: Path) -> None:
    """Score all protocols and write a record for each, as ``mdreid-bench score --protocol all`` does."""
    start = time.perf_counter()
    scope = Scope(folder)
    items = EmbeddingFolder(scope.embeddings).read_items()
    scorer = CellScorer(RunFacts.read(folder.parent / "run.json"), scope)
    for protocol in protocols_of(RNT):
        scorer(items, protocol)
    taken = time.perf_counter() - start
    sys.stdout.write(json.dumps({"seconds": taken, "bytes": peak_bytes()}) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
