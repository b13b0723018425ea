"""Puts files of another run, seed, cell or scope in the place of a run's own, and counts what readers make of it."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
import yaml
from torch import nn

from mdreid_bench.data.items import Items
from mdreid_bench.embedding.parts import Parts
from mdreid_bench.embedding.stored import EmbeddingFolder
from mdreid_bench.errors import DataError
from mdreid_bench.evaluation.cells import CellScorer
from mdreid_bench.evaluation.compare import Evaluation
from mdreid_bench.models import registry
from mdreid_bench.models.method import DataFacts
from mdreid_bench.progress import Silent
from mdreid_bench.report.cost import NOT_COUNTED, cost_table
from mdreid_bench.report.figures.cmc import curve_figure
from mdreid_bench.report.groups import group_records
from mdreid_bench.report.table import Missing
from mdreid_bench.results.run_facts import RunFacts
from mdreid_bench.results.schema import Record
from mdreid_bench.results.storage.hashes import canonical_hash
from mdreid_bench.results.storage.place import write_sealed
from mdreid_bench.results.store import RunFolder, Scope, Store, load_record
from mdreid_bench.results.trained import TrainingFolder
from mdreid_bench.runs.merge import merge
from mdreid_bench.search.gallery import seen
from mdreid_bench.search.search_index import SearchIndex
from mdreid_bench.weights import checkpoint
from mdreid_bench.weights.trained_method import load_trained
from mdreid_bench.weights.weights_header import WeightsHeader
from protocols.modality import RNT, Modality, subsets
from protocols.protocol import Protocol
from tests.evaluation.stored import store
from tests.results.facts import make_facts
from tests.support import build, small_config

RUN, SEED, CELL, SCOPE, BYTE = "another run", "another seed", "another cell", "another limit", "one byte changed"
REFUSED, SAME = "refused", "read the same"
CELLS = ("R-to-N", "N-to-R")
PARTS = {"rows": 4}
Reader = Callable[[Path], Any]
"""What is read below a results folder; None or a ``DataError`` when it must not be believed."""


@dataclass(frozen=True)
class Kind:
    """One kind of stored file.

    Attributes:
        path: of the own file, below the results folder.
        others: paths of files that belong to something else, by what they belong to.
        readers: everything that reads it, by name.
    """

    path: str
    others: Mapping[str, str]
    readers: Mapping[str, Reader]


def world(root: Path) -> dict[str, Kind]:
    """Write the runs, trainings and indexes of a results folder, and return its kinds of files."""
    own, seed, other = _run(root, 0, seed=1), _run(root, 1, seed=2), _run(root, 2, seed=1, dataset="rgbnt201")
    _index(root / "index", 0)
    _index(root / "others", 1)
    scopes, runs = {SEED: seed / "full", SCOPE: own / "limit-9", RUN: other / "full"}, {SEED: seed, RUN: other}
    full, trained = own / "full", {path: Path("trained", path.name) for path in (own, seed, other)}

    def scoped(name: str) -> dict[str, str]:
        return {what: str(folder / name) for what, folder in scopes.items()}

    def of_runs(name: str) -> dict[str, str]:
        return {what: str(folder / name) for what, folder in runs.items()}

    def of_trainings(name: str) -> dict[str, str]:
        return {what: str(trained[folder] / name) for what, folder in runs.items()}

    cell, joined = CELLS[0], {"merge": _merged}
    values = {"run, score": _believed, "compare": _compared, "report": _curves}
    parts = "embeddings/parts/00000000-00000004.safetensors"
    kinds = {
        "record": Kind(
            f"{full}/{cell}.json",
            {**scoped(f"{cell}.json"), CELL: f"{full}/{CELLS[1]}.json"},
            {"run, score": _believed, "compare": _compared, "report": _reported, **joined},
        ),
        "per-query values": Kind(
            f"{full}/{cell}.npz", {**scoped(f"{cell}.npz"), CELL: f"{full}/{CELLS[1]}.npz"}, values | joined
        ),
        "table of embeddings": Kind(
            f"{full}/embeddings/items.npz", scoped("embeddings/items.npz"), {"run, score": _scored, **joined}
        ),
        "matrix of embeddings": Kind(
            f"{full}/embeddings/R.npy",
            {**scoped("embeddings/R.npy"), "another subset": f"{full}/embeddings/T.npy"},
            {"run, score": _scored, **joined},
        ),
        "part of embeddings": Kind(f"{full}/{parts}", scoped(parts), {"run": _continued}),
        "facts of a run": Kind(
            f"{own}/run.json", of_runs("run.json"), {"run, score": _facts, "search": _loaded, **joined}
        ),
        "configuration of a run": Kind(f"{own}/config.yaml", of_runs("config.yaml"), {"search": _loaded, **joined}),
        "costs of a run": Kind(f"{own}/cost.json", of_runs("cost.json"), {"report": _costs, **joined}),
        "trained weights": Kind(
            f"{trained[own]}/weights.safetensors",
            of_trainings("weights.safetensors"),
            {"run": _weights, "search": _loaded, **joined},
        ),
        "state of a training": Kind(
            f"{trained[own]}/state.safetensors", of_trainings("state.safetensors"), {"run": _resumed}
        ),
    }
    return kinds | {f"search index: {name}": kind for name, kind in _index_kinds(root)}


def _index_kinds(root: Path) -> Iterator[tuple[str, Kind]]:
    for name in ("vectors", "items"):
        (own,), (other,) = ((root / folder).glob(f"{name}-*") for folder in ("index", "others"))
        yield name, Kind(f"index/{own.name}", {RUN: f"others/{other.name}"}, {"search": _found})


def _run(root: Path, draw: int, **changes: Any) -> Path:
    """Write a run with two scopes and two cells, its costs, parts of embeddings and a training; return its place."""
    key = f"{draw:064x}"
    for limit in (None, 9):
        stored = store(root, 3 * draw + (limit or 0), limit, run_key=key, **changes)
        for cell in CELLS:
            CellScorer(stored.facts, stored.scope)(stored.table, Protocol.parse(cell))
        parts = Parts(EmbeddingFolder(stored.scope.embeddings), RNT, PARTS)
        rng = np.random.default_rng([draw, limit or 0])
        parts.add(np.arange(4), {s: rng.normal(size=(4, 3)).astype(np.float32) for s in subsets(RNT)})
        parts.flush()
    folder = RunFolder(stored.scope.path.parent)
    config = small_config("mdreid", {"seed": changes["seed"]}, changes.get("dataset", "msvr310"))
    folder.config.write_text(yaml.safe_dump(config.model_dump(mode="json")))
    described = canonical_hash(config.determining())
    record = load_record(stored.scope.record_path(CELLS[0]))
    make_facts(record, config=described, training=folder.path.name).write(folder.facts)
    write_sealed(folder.cost, {"parameters": 1000 + draw, "multiply_adds": 2000 + draw})
    training = TrainingFolder(root / "trained" / folder.path.name)
    method, data = build("mdreid", seed=draw), DataFacts(5, 3)
    facts = WeightsHeader.of(method, config, data, selection="last-epoch", epoch=2, dataset=config.dataset)
    checkpoint.save_weights(training.weights, method, facts.header())
    checkpoint.save_state(training.state, *_network(draw), {"epoch": draw}, {})
    return folder.path.relative_to(root)


def _network(draw: int) -> tuple[nn.Module, torch.optim.Optimizer]:
    torch.manual_seed(draw)
    network = nn.Linear(8, 5)
    optimizer = torch.optim.Adam(network.parameters())
    network(torch.ones(8)).sum().backward()
    optimizer.step()
    return network, optimizer


def _index(folder: Path, draw: int) -> None:
    vectors = np.random.default_rng(draw).normal(size=(6, 4)).astype(np.float32)
    items = Items.of(seen(f"{draw}-{row}", {Modality.R: Path("a.jpg")}) for row in range(6))
    SearchIndex.build(vectors, items, run="a-run", weights=None).write(folder)


def _own(root: Path) -> RunFolder:
    (path,) = root.glob("runs/msvr310-mdreid-tiny-s1-*")
    return RunFolder(path)


def _cell(root: Path) -> tuple[Scope, Path]:
    scope = _own(root).scope(None)
    return scope, scope.record_path(CELLS[0])


def _metrics(record: Record | None) -> Any:
    return None if record is None else record.model_dump(exclude={"provenance", "per_query_digest"})


def _believed(root: Path) -> Any:
    return _metrics(_cell(root)[0].believed(CELLS[0]))


def _reported(root: Path) -> Any:
    found = dict(Store(root).records())[_cell(root)[1]]
    return _metrics(found) if isinstance(found, Record) else None


def _compared(root: Path) -> Any:
    evaluation = Evaluation.read(_cell(root)[1])
    values = evaluation.values
    columns = {name: getattr(values, name).tolist() for name in ("names", "identities", "trials")}
    return _metrics(evaluation.record), columns, {name: repr(v.tolist()) for name, v in vars(values.metrics).items()}


def _curves(root: Path) -> Any:
    _, path = _cell(root)
    (group,) = group_records([load_record(path)])
    figure = curve_figure(group, lambda record: path)
    return None if figure is None else figure.notes


def _scored(root: Path) -> Any:
    folder = _own(root)
    scope = folder.scope(None)
    table = EmbeddingFolder(scope.embeddings).read_items()
    record = CellScorer(RunFacts.read(folder.facts), scope)(table, Protocol.parse("R-to-R"))
    for suffix in (".json", ".npz"):
        scope.path_of(record).with_suffix(suffix).unlink()
    return _metrics(record)


def _facts(root: Path) -> Any:
    return RunFacts.read(_own(root).facts)


def _loaded(root: Path) -> Any:
    method, config = load_trained(_own(root))
    return checkpoint.digest(method.state_dict()), config.determining()


def _costs(root: Path) -> Any:
    _, path = _cell(root)
    (group,) = group_records([load_record(path)])
    cell = cost_table(group, (), lambda record: _own(root).path).rows[0][1]
    return None if cell == Missing(NOT_COUNTED) else cell


def _weights(root: Path) -> Any:
    method = registry.get("mdreid").build(small_config("mdreid"), DataFacts(5, 3))
    checkpoint.load_weights(root / "trained" / _own(root).path.name / "weights.safetensors", method)
    return checkpoint.digest(method.state_dict())


def _resumed(root: Path) -> Any:
    network, optimizer = _network(99)
    folder = TrainingFolder(root / "trained" / _own(root).path.name)
    facts, _ = checkpoint.load_state(folder.state, network, optimizer)
    return facts, checkpoint.digest(network.state_dict()), repr(optimizer.state_dict())


def _continued(root: Path) -> Any:
    parts = Parts(EmbeddingFolder(_own(root).scope(None).embeddings), RNT, PARTS)
    if not parts.begin():
        return None
    return [checkpoint.digest(checkpoint.read(part.path)[0]) for part in parts.done]


def _found(root: Path) -> Any:
    return SearchIndex.read(root / "index").search(np.arange(4, dtype=np.float32), 6)


def _merged(root: Path) -> Any:
    with TemporaryDirectory() as folder:
        target = Path(folder) / "all"
        merge([root], Store(target), Silent())
        return [read(target) for read in (_believed, _compared, _scored, _facts, _loaded, _costs)]


def sweep(root: Path, kind: Kind, offsets: int) -> Counter[tuple[str, str]]:
    """Replace the own file by each of the others, and change single bytes of it; count what readers make of it.

    Args:
        root: the results folder; is left as it was.
        kind: of the file.
        offsets: number of places at which a byte is changed.

    Returns:
        how often (what was in its place, what came of it).

    Raises:
        AssertionError: when a reader takes what is not there for what should be.
    """
    path, counts = root / kind.path, Counter[tuple[str, str]]()
    before, intact = path.read_bytes(), {name: read(root) for name, read in kind.readers.items()}
    assert None not in intact.values()
    contents = [(what, (root / other).read_bytes()) for what, other in kind.others.items()]
    for at in np.linspace(0, len(before) - 1, offsets, dtype=int).tolist():
        contents.append((BYTE, before[:at] + bytes([before[at] ^ 1 << at % 8]) + before[at + 1 :]))
    for what, content in contents:
        for name, read in kind.readers.items():
            _put(path, content)
            try:
                found = read(root)
            except DataError:
                found = None
            finally:
                _put(path, before)
            assert found in (None, intact[name]), f"{name} takes {what} for its own {kind.path}"
            assert found is None or what == BYTE, f"{name} does not notice {what} in the place of {kind.path}"
            counts[what, REFUSED if found is None else SAME] += 1
    return counts


def _put(path: Path, content: bytes) -> None:
    """Write another file, because a change within a tick of the clock need not change the time of one."""
    path.unlink(missing_ok=True)
    path.write_bytes(content)
