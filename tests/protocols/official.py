"""The evaluators that papers on visible-infrared retrieval use, step by step as released, in double precision."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
MAX_RANK = 20


class Result(NamedTuple):
    cmc: Floats
    mean_average_precision: float
    mean_inverse_negative_penalty: float


def agw(distance: Floats, query: Ints, gallery: Ints, removed: NDArray[np.bool_], *, by_identity: bool) -> Result:
    """``eval_sysu`` (``by_identity``) and ``eval_regdb`` of AGW; cameras decided before what a query does not see."""
    order = np.argsort(distance, axis=1)
    curves, precisions, penalties = [], [], []
    for row, identity in enumerate(query):
        ranked = gallery[order[row]][~removed[row][order[row]]]
        right = (ranked == identity).astype(int)
        if not right.any():
            continue
        listed = (
            [ranked[place] for place in sorted(np.unique(ranked, return_index=True)[1])] if by_identity else ranked
        )
        curve = np.minimum((np.array(listed) == identity).cumsum(), 1)[:MAX_RANK]
        curves.append(np.concatenate([curve, np.full(MAX_RANK - len(curve), curve[-1])]))
        seen = right.cumsum()
        last = np.max(np.where(right == 1))
        penalties.append(seen[last] / (last + 1.0))
        precisions.append(float(sum(seen[i] / (i + 1.0) * right[i] for i in range(len(right))) / right.sum()))
    return Result(np.mean(curves, axis=0), float(np.mean(precisions)), float(np.mean(penalties)))


def sysu(distance: Floats, query: Ints, gallery: Ints, query_camera: Ints, gallery_camera: Ints) -> Result:
    """The evaluator of SYSU-MM01 in AGW; cameras are numbered from 1."""
    removed = (query_camera == 3)[:, None] & (gallery_camera == 2)
    return agw(distance, query, gallery, removed, by_identity=True)


def llcm(distance: Floats, query: Ints, gallery: Ints, query_camera: Ints, gallery_camera: Ints) -> Result:
    """The evaluator of LLCM: that of SYSU-MM01, but a query does not see its person in its own camera."""
    removed = (query[:, None] == gallery) & (query_camera[:, None] == gallery_camera)
    return agw(distance, query, gallery, removed, by_identity=True)


def regdb(distance: Floats, query: Ints, gallery: Ints) -> Result:
    """The evaluator of RegDB in AGW: no image shares its camera with one of the other side."""
    return agw(distance, query, gallery, np.zeros(distance.shape, dtype=np.bool_), by_identity=False)


def matlab(features: list[list[Floats]], permutations: list[list[Ints]], test: list[int], **setting: Any) -> Result:
    """The evaluation of SYSU-MM01 in MATLAB, averaged over ten trials.

    Features and permutations are cells by camera, then by person, both from 1; ``setting`` has ``gallery_cameras``
    and ``shots``.
    """
    place = [1, 2, 2, 4, 5, 6]
    curves, precisions = [], []
    for trial in range(10):
        sides: list[tuple[list[Floats], list[int], list[int]]] = []
        for cameras in (setting["gallery_cameras"], [3, 6]):
            rows: tuple[list[Floats], list[int], list[int]] = ([], [], [])
            for camera in cameras:
                for person in test:
                    cell, drawn = features[camera - 1][person - 1], permutations[camera - 1][person - 1]
                    if not cell.size:
                        continue
                    chosen = cell if cameras == [3, 6] else cell[drawn[trial, : setting["shots"]] - 1]
                    rows[0].extend(chosen)
                    rows[1].extend([person] * len(chosen))
                    rows[2].extend([place[camera - 1]] * len(chosen))
            sides.append(rows)
        (gallery, gallery_label, gallery_place), (probe, probe_label, probe_place) = sides
        counter, total, valid = np.zeros(len(set(gallery_label))), 0.0, 0
        for vector, label, location in zip(probe, probe_label, probe_place, strict=True):
            ranking = np.argsort(np.linalg.norm(np.array(gallery) - vector, axis=1))
            seen = [gallery_label[i] for i in ranking if gallery_place[i] != location]
            if label not in seen:
                continue
            valid += 1
            counter[list(dict.fromkeys(seen)).index(label)] += 1
            ranks = np.flatnonzero(np.array(seen) == label) + 1
            total += float(np.mean(np.arange(1, len(ranks) + 1) / ranks))
        curves.append((counter / valid).cumsum()[:MAX_RANK])
        precisions.append(total / valid)
    return Result(np.mean(curves, axis=0), float(np.mean(precisions)), float("nan"))
