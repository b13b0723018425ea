"""Rankers of other packages on the same seeded job as ours, by turns in one run.

``make bench`` installs what peers.txt names. A peer that is not there has a row that says so. Where its definition is
ours, it must find the mAP and Rank-1 that we find. Vectors are random, around a centre for each identity.
"""

import importlib
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest
from numpy.typing import NDArray

from protocols.evaluation import evaluate
from protocols.exclusion import Exclusion, Labels
from protocols.ranking import Ranking, rank, rank_embeddings
from tests.benchmarks.bench_ranking import CAMERAS, IDENTITIES, ITEMS, QUERIES
from tests.benchmarks.measuring import PEER, Benchmark, seconds
from tests.protocols.cases import labels

FOLDER = Path(__file__).parents[2] / ".benchmarks" / "peers"
"""Where ``make bench`` installs them."""
WIDTH, NOISE = 2048, 6.0
Found: TypeAlias = tuple[float, float]
"""mAP and Rank-1."""


class Job:
    """Queries and a gallery of the shape of RGBNT100: vectors of unit length, labels, and all scores."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self.query, self.gallery = (labels(rng, count, IDENTITIES, CAMERAS) for count in (QUERIES, ITEMS))
        centres = rng.standard_normal((IDENTITIES, WIDTH), dtype=np.float32)

        def around(known: Labels) -> NDArray[np.float32]:
            noise = rng.standard_normal((len(known), WIDTH), dtype=np.float32)
            rows = centres[known.identity] + np.float32(NOISE) * noise
            result: NDArray[np.float32] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
            return result

        self.asked, self.offered = around(self.query), around(self.gallery)
        self.scores: NDArray[np.float32] = self.asked @ self.offered.T
        self.distances = -self.scores

    def from_scores(self) -> Found:
        """Rank the scores; items of the query's identity and camera are left out."""
        return found(rank(self.scores, self.query, self.gallery, Exclusion.CAMERA))

    def from_vectors(self) -> Found:
        """Likewise from the vectors."""
        return found(rank_embeddings(self.asked, self.offered, self.query, self.gallery, Exclusion.CAMERA))

    def from_vectors_of_all(self) -> Found:
        """Likewise, with nothing left out."""
        return found(rank_embeddings(self.asked, self.offered, self.query, self.gallery, Exclusion.NONE))


def found(ranking: Ranking) -> Found:
    summary = evaluate(ranking).summary()
    return summary.mAP, summary.rank1


Work: TypeAlias = Callable[[Job], Found]


def alone(package: str, path: str) -> Any:
    """Load one file of a package, because fastreid as a whole does not start on Python 3.10 or newer."""
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ImportError("not installed")
    file = next(Path(spec.submodule_search_locations[0]).glob(path), None)
    if file is None:
        source = next(Path(spec.submodule_search_locations[0]).glob(f"{path.partition('.')[0]}.pyx"), None)
        raise ImportError("it could not be built" if source else "its package has no source of it")
    its = spec_from_file_location(file.name.partition(".")[0], file)
    assert its is not None
    assert its.loader is not None
    module = module_from_spec(its)
    its.loader.exec_module(module)
    return module


def market1501(package: str, path: str, function: str) -> Work:
    """Return a ranker of the form that deep-person-reid gave to the field."""
    ranker = getattr(alone(package, path), function)

    def work(job: Job) -> Found:
        known = (job.query.identity, job.gallery.identity, job.query.camera, job.gallery.camera)
        cmc, precision = ranker(job.distances, *known, 50)[:2]
        return float(np.mean(precision, dtype=np.float64)), float(cmc[0])

    return work


def pytorch_metric_learning() -> Work:
    calculator = importlib.import_module("pytorch_metric_learning.utils.accuracy_calculator").AccuracyCalculator

    def work(job: Job) -> Found:
        wanted = calculator(include=("mean_average_precision", "precision_at_1"))
        both = wanted.get_accuracy(job.asked, job.query.identity, job.offered, job.gallery.identity)
        return both["mean_average_precision"], both["precision_at_1"]

    return work


def open_metric_learning() -> Work:
    torch = importlib.import_module("torch")
    nearest = importlib.import_module("oml.functional.knn").batched_knn_qg
    metrics = importlib.import_module("oml.functional.metrics").calc_retrieval_metrics

    def work(job: Job) -> Found:
        sides = []
        for known in (job.query, job.gallery):
            sides.append([torch.from_numpy(x) for x in (known.identity, known.identity * CAMERAS + known.camera)])
        (query, hidden), (gallery, hides) = sides
        _, retrieved, true = nearest(
            torch.from_numpy(job.asked),
            torch.from_numpy(job.offered),
            ITEMS,
            labels_query=query,
            labels_gallery=gallery,
            sequence_ids_query=hidden,
            sequence_ids_gallery=hides,
        )
        both = metrics(retrieved, true, cmc_top_k=(1,), precision_top_k=(), map_top_k=(ITEMS,), verbose=False)
        return float(both["map"][ITEMS]), float(both["cmc"][1])

    return work


@dataclass(frozen=True)
class Peer:
    """What another package starts from and computes, our work of the same kind, and how many turns each gets."""

    start: str
    computes: str
    load: Callable[[], Work]
    ours: Work
    rounds: int


def ranker(package: str, path: str, function: str, rounds: int) -> Peer:
    """Return a peer that ranks scores as ours does."""
    return Peer(
        "scores",
        "CMC and mAP without items of the query's identity and camera, as ours.",
        lambda: market1501(package, path, function),
        Job.from_scores,
        rounds,
    )


PEERS: Mapping[str, Peer] = {
    "fast-reid, Cython": ranker("fastreid", "evaluation/rank_cylib/rank_cy.*.so", "evaluate_cy", 5),
    "fast-reid, Python": ranker("fastreid", "evaluation/rank.py", "eval_market1501", 1),
    "torchreid, Cython": ranker("torchreid", "reid/metrics/rank_cylib/rank_cy.*.so", "evaluate_cy", 5),
    "torchreid, Python": ranker("torchreid", "reid/metrics/rank.py", "eval_market1501", 1),
    "open-metric-learning": Peer(
        "vectors",
        "Likewise, by distances; what it calls a sequence stands for an identity and a camera.",
        open_metric_learning,
        Job.from_vectors,
        rounds=3,
    ),
    "pytorch-metric-learning": Peer(
        "vectors",
        "mAP and precision at 1, by distances with FAISS. It knows no cameras, so ours leaves nothing out either.",
        pytorch_metric_learning,
        Job.from_vectors_of_all,
        rounds=3,
    ),
}
CLOSE = 1e-6
"""How far mAP and Rank-1 may differ where the definition is the same: peers add up and compare in float32."""


@pytest.fixture(scope="module")
def job() -> Job:
    if str(FOLDER) not in sys.path:
        sys.path.append(str(FOLDER))
    return Job()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", PEERS)
def test_peer(benchmark: Benchmark, job: Job, name: str) -> None:
    peer = PEERS[name]
    row: dict[str, Any] = {"name": name, "start": peer.start, "computes": peer.computes}
    benchmark.extra_info[PEER] = row
    try:
        theirs = peer.load()
    except ImportError as error:
        row["missing"] = str(error)
        benchmark.pedantic(peer.ours, args=(job,), rounds=1)
        return
    own: list[float] = []
    expected = peer.ours(job)
    reached = benchmark.pedantic(
        theirs, args=(job,), setup=lambda: own.append(seconds(lambda: peer.ours(job))), rounds=peer.rounds
    )
    apart = [abs(a - b) for a, b in zip(reached, expected, strict=True)]
    row |= {"seconds": benchmark.stats["min"], "ours": min(own), "apart": apart}
    assert max(apart) < CLOSE, f"{name} finds mAP and Rank-1 {reached}, we find {expected}"


def test_sort_beside_peers(benchmark: Benchmark, job: Job) -> None:
    own: list[float] = []
    benchmark.pedantic(np.sort, args=(job.scores, 1), setup=lambda: own.append(seconds(job.from_scores)), rounds=5)
    row = {"name": "numpy.sort", "start": "scores", "computes": "The sorted scores, no metrics."}
    benchmark.extra_info[PEER] = row | {"seconds": benchmark.stats["min"], "ours": min(own)}
