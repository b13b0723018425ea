"""The pictures of a run: each a section of the page and, where there is something to draw, a figure."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, TypeAlias

from mdreid_bench.errors import DataError, UsageError
from mdreid_bench.inspection import confusion, maps, ranked, similarities, strips
from mdreid_bench.inspection.compared import Kind
from mdreid_bench.inspection.inspected import Inspected
from mdreid_bench.inspection.maps import Projection
from mdreid_bench.inspection.page import Section
from mdreid_bench.inspection.strips import Cell, Strip
from mdreid_bench.report.decoupling import decoupling_tables
from mdreid_bench.report.figures.tables import matrices
from mdreid_bench.results.schema import Record
from mdreid_bench.results.store import load_record
from mdreid_bench.wording import counted
from protocols.modality import Modality
from protocols.names import UnknownNameError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Drawn: TypeAlias = "tuple[Section, Figure | None]"
_ORDER = "Items stand by falling similarity, equal ones by name."
_WAYS: dict[str, tuple[str, str, Callable[..., list[int]]]] = {
    "best-to-worst": (
        "Ranked lists from best to worst",
        "Queries evenly spaced in the order of their average precision, the best first.",
        ranked.from_best_to_worst,
    ),
    "worst-failures": (
        "The worst failures",
        "Failures, queries whose first item is not right, with the lowest average precision.",
        ranked.worst,
    ),
    "typical-failures": (
        "The most typical failures",
        "Failures whose average precision is nearest to the median of all failures.",
        ranked.most_typical,
    ),
}


def pictures(inspected: Inspected, queries: int, named: Sequence[str], how: Projection) -> list[Iterator[Drawn]]:
    """Return what makes the pictures, one after the other.

    Args:
        inspected: the run.
        queries: how many to show of each kind.
        named: names of queries to show besides.
        how: of the maps.

    Raises:
        UnknownNameError: for a name that no query has.
    """
    places = _places(inspected, named)
    return [
        _lists(inspected, queries, places),
        _confused(inspected),
        _similarities(inspected),
        _maps(inspected, how),
        _attention(inspected, places or ranked.from_best_to_worst(inspected.compared, queries)),
        _parts(inspected),
    ]


def _places(inspected: Inspected, named: Sequence[str]) -> list[int]:
    names = inspected.stored.items.names[inspected.compared.trial.query].tolist()
    for name in named:
        if name not in names:
            raise UnknownNameError("query", name, names, shown=[*names[:5], f"{len(names)} in all"])
    return [names.index(name) for name in named]


def _lists(inspected: Inspected, queries: int, named: Sequence[int]) -> Iterator[Drawn]:
    compared = inspected.compared
    chosen = {"named-queries": ("The queries asked for", "Queries that --query names.", list(named))} if named else {}
    chosen |= {name: (title, told, choose(compared, queries)) for name, (title, told, choose) in _WAYS.items()}
    for name, (title, told, places) in chosen.items():
        shown = tuple(_list_strip(inspected, place) for place in places)
        depth = f"The first {ranked.DEPTH} ranks; excluded items among them have no rank. "
        section = Section(
            name, title, f"{told} {depth}{_ORDER}", strips=shown, absent="" if shown else "no query failed"
        )
        yield section, strips.draw(shown, f"{title}: {inspected.title}") if shown else None


def _list_strip(inspected: Inspected, place: int) -> Strip:
    compared, found = inspected.compared, ranked.ranked_list(inspected.compared, place)
    row = int(compared.trial.query[place])
    cells = [_cell(inspected, row, compared.query_sensors(place), f"query {compared.query_sensors(place)}")]
    for entry in found.entries:
        item, sensors = int(compared.trial.gallery[entry.place]), compared.gallery_sensors(entry.place)
        rank = "excluded" if entry.rank is None else f"{entry.rank}. {entry.kind.name.lower()}"
        cells.append(_cell(inspected, item, sensors, f"{rank}  {entry.similarity:.3f}", entry.kind))
    measured = compared.measured
    told = (
        f"AP {100 * measured.ap[place]:.1f} %, {counted(int(measured.positives[place]), 'right item')} in the gallery"
    )
    left = f"; {found.left_out} more excluded among these" if found.left_out else ""
    return Strip(f"{inspected.item(row)}: {told}{left}", tuple(cells))


def _cell(inspected: Inspected, row: int, sensors: Modality, line: str, kind: Kind | None = None) -> Cell:
    labels = inspected.stored.items.labels
    lines = (line, f"identity {labels.identity[row]}", f"camera {labels.camera[row]}, {sensors}")
    return Cell(inspected.thumbnails.pictures(row, str(inspected.stored.items.names[row]), sensors), lines, kind)


def _confused(inspected: Inspected) -> Iterator[Drawn]:
    title, compared = "Identities that are confused most", inspected.compared
    told = (
        "Two identities are confused by a query of one to which some item of the other is at least as similar as the "
        "best right item. Beside each pair, the wrong items that are most similar to one of these queries."
    )
    shown = []
    for pair in confusion.most_confused(compared):
        query, item = int(compared.trial.query[pair.query]), int(compared.trial.gallery[pair.gallery])
        cells = (
            _cell(inspected, query, compared.query_sensors(pair.query), "query"),
            _cell(
                inspected, item, compared.gallery_sensors(pair.gallery), f"wrong  {pair.similarity:.3f}", Kind.WRONG
            ),
        )
        one, other = pair.identities
        shown.append(Strip(f"{one} and {other}: {pair.confused} of {pair.queries} queries", cells))
    section = Section(
        "confused-identities", title, told, strips=tuple(shown), absent="" if shown else "no pair is confused"
    )
    yield section, strips.draw(shown, f"{title}: {inspected.title}") if shown else None


def _similarities(inspected: Inspected) -> Iterator[Drawn]:
    counted_pairs = similarities.histogram(inspected.compared)
    told = (
        f"All pairs of a query and a gallery item by their similarity, in {similarities.BINS} bins of equal width, "
        f"as shares of the {counted_pairs.right.sum():,} right and of the {counted_pairs.wrong.sum():,} wrong pairs; "
        "excluded pairs are left out. The less the two overlap, the better."
    )
    section = Section("similarities", "Similarities of right and wrong pairs", told)
    yield section, similarities.draw(counted_pairs, f"{section.title}: {inspected.title}")


def _maps(inspected: Inspected, how: Projection) -> Iterator[Drawn]:
    name = "PCA: the two directions of the largest variance" if how == "pca" else "t-SNE: neighbours stay neighbours"
    told = (
        f"{name}, computed from the points shown: up to {maps.IDENTITIES} identities, evenly spaced in the order of "
        f"their labels, with up to {maps.PER_SIDE} items each"
    )
    for drawn, more in (
        (maps.map_of_sides(inspected.compared, how), " on each side, by the vectors that the protocol compares."),
        (
            maps.map_of_sensors(inspected.embeddings, inspected.stored, how),
            " from each sensor, by the vectors that are stored of an item seen by this sensor alone.",
        ),
    ):
        section = Section(drawn.name, drawn.title, told + more, map=drawn)
        yield section, maps.draw(drawn, f"{drawn.title}: {inspected.title}")


def _attention(inspected: Inspected, places: Sequence[int]) -> Iterator[Drawn]:
    told = (
        "What the output tokens attend to in the last block of the vision transformer: softmax(q k' / sqrt(d)), the "
        "mean over its heads, over the patches of one image; bright is the most of this image. The rest of each "
        "token's attention falls on the output tokens themselves."
    )
    shown, absent = _attended(inspected, places)
    section = Section("attention", "Attention of the output tokens", told, strips=shown, absent=absent)
    yield section, strips.draw(shown, f"{section.title}: {inspected.title}") if shown else None


def _attended(inspected: Inspected, places: Sequence[int]) -> tuple[tuple[Strip, ...], str]:
    """Return the strips of some queries, or why there are none; torch is imported here at the earliest."""
    if inspected.index is None or inspected.config is None:
        return (), f"it needs the images, and there are none, because {inspected.without}"
    from mdreid_bench.inspection.attention import attention_cells, why_not
    from mdreid_bench.weights.trained_method import load_trained

    try:
        method, config = load_trained(inspected.folder)
    except (DataError, UsageError, UnknownNameError) as error:
        return (), f"it needs the weights of the run. {str(error).rstrip('.')}"
    if reason := why_not(method):
        return (), reason
    shown = []
    for place in places:
        row = int(inspected.compared.trial.query[place])
        sensors = inspected.compared.query_sensors(place)
        cells = attention_cells(
            method, config, inspected.index, inspected.thumbnails, row, inspected.item(row), sensors
        )
        shown += [Strip(inspected.item(row), tuple(cells))] if cells else []
    return tuple(shown), "" if shown else "the trunk did not see the images one by one"


def _parts(inspected: Inspected) -> Iterator[Drawn]:
    told = (
        "Mean cosines between the parts of a test item that the method keeps apart, before training, after it and "
        "ideally, as they were stored with the run; numbered as the rows are named."
    )
    tables = decoupling_tables(_records(inspected), lambda record: inspected.folder.path)
    absent = "" if tables else "the run stores no parts that its method keeps apart"
    section = Section("parts", "How alike the parts of an item are", told, absent=absent)
    yield section, matrices(tables[0]) if tables else None


def _records(inspected: Inspected) -> Iterator[Record]:
    """Yield the records of the run that can be believed, of images as they are."""
    for path in sorted(inspected.scope.path.glob("*.json")):
        with suppress(DataError):
            record = load_record(path)
            if record.corruption is None:
                yield record
