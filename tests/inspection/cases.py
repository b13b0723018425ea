"""Two sides with random vectors of few values, so that similarities are tied, and random labels."""

import numpy as np

from mdreid_bench.data.items import Items, Role
from mdreid_bench.inspection.compared import Compared
from protocols.exclusion import Exclusion, Labels
from protocols.modality import RNT, R
from protocols.protocol import Protocol
from protocols.trial import Trial

RULES = (Exclusion.NONE, Exclusion.CAMERA, Exclusion.SCENE, Exclusion("camera", ((0, 1), (2, 0))))


def compared(seed: int, exclusion: Exclusion = Exclusion.CAMERA, budget: int = 1 << 20) -> Compared:
    """Draw 30 items; the first 12 ask, the last 22 are offered."""
    rng = np.random.default_rng(seed)
    labels = Labels(*(rng.integers(high, size=30) for high in (5, 3, 2)))
    names = np.array([f"{number:03d}.jpg" for number in rng.permutation(30)])
    roles = np.full(30, (Role.QUERY | Role.GALLERY).value, dtype=np.uint8)
    items = Items(names, labels, np.full(30, RNT.value, dtype=np.uint8), roles)
    asked, offered = np.arange(12), np.arange(8, 30)
    codes = np.full(12, R.value, dtype=np.uint8), np.full(22, (RNT & ~R).value, dtype=np.uint8)
    vectors = rng.integers(-1, 2, size=(34, 4)).astype(np.float32)
    trial = Trial(asked, offered, *codes)
    return Compared(Protocol(R, RNT & ~R), items, exclusion, trial, 1, vectors[:12], vectors[12:], budget)


def naive_kind(case: Compared, query: int, item: int) -> str:
    """Say what an item is to a query, rule by rule."""
    asked, offered, rule = case.asked, case.offered, case.exclusion
    if (int(asked.camera[query]), int(offered.camera[item])) in rule.hidden:
        return "EXCLUDED"
    if asked.identity[query] != offered.identity[item]:
        return "WRONG"
    attribute = {"none": None, "camera": (asked.camera, offered.camera), "scene": (asked.scene, offered.scene)}[
        rule.same
    ]
    if attribute is not None and attribute[0][query] == attribute[1][item]:
        return "EXCLUDED"
    return "RIGHT"


def naive_similarity(case: Compared, query: int, item: int) -> float:
    return float(sum(a * b for a, b in zip(case.query[query].tolist(), case.gallery[item].tolist(), strict=True)))
