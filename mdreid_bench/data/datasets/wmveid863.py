"""WMVeID863: vehicles, eight views, a folder for each identity with one for each sensor."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from posixpath import splitext
from typing import ClassVar

from mdreid_bench.data.card import DatasetCard, SplitCounts
from mdreid_bench.data.dataset import Assignment, Dataset, Fault, Scan
from mdreid_bench.data.items import Role
from mdreid_bench.data.synthetic import adaptation_plans
from mdreid_bench.data.synthetic.plan import PlannedFrame, Scale
from mdreid_bench.wording import counted
from protocols.exclusion import Exclusion
from protocols.modality import Modality


class WMVeID863(Dataset):
    """``train/0001/vis/v0_n1_s012_000.jpg``: view 0-7 (used as the camera) after ``v``, night or not after ``n``.

    The night is kept as the scene, which this dataset's protocol does not use. The images of an item have the same
    name. Where those of two sensors of an identity have no name in common, the sorted listings of both are paired
    (docs/methods/datasets.md, "WMVeID863").
    """

    card = DatasetCard(
        name="wmveid863",
        title="WMVeID863",
        kind="vehicle",
        paper=(
            "Zheng, Ma, Wang, Li: Flare-aware Cross-modal Enhancement Network for Multi-spectral Vehicle "
            "Re-identification, Information Fusion 2025"
        ),
        bibtex="""@article{zheng2025wmveid863,
  author  = {Zheng, Aihua and Ma, Zhiqi and Wang, Zi and Li, Chenglong},
  title   = {Flare-aware Cross-modal Enhancement Network for Multi-spectral Vehicle Re-identification},
  journal = {Information Fusion},
  volume  = {116},
  pages   = {102800},
  year    = {2025}
}""",
        licence="no licence is stated; the images are obtained from their authors",
        image_size=(128, 256),
        cameras=8,
        exclusion=Exclusion.CAMERA,
        counts=SplitCounts(3482, 603, 959, 210, 1226, 260),
        layout="WMVeID863/{train,query,test}/IDENTITY/{vis,ni,th}/*.jpg",
        folders=("WMVEID863",),
    )
    roles: ClassVar = {"train": Role.TRAIN, "query": Role.QUERY, "test": Role.GALLERY}
    sensors: ClassVar = {"vis": Modality.R, "ni": Modality.N, "th": Modality.T}
    grammar = re.compile(
        r"(?P<role>train|query|test)/(?P<identity>[0-9]{1,6})/(?P<sensor>vis|ni|th)/"
        r"(?=(?:[^_]*_){3})(?=[^/]*?n(?P<night>[0-9]))(?=[^/]*?v(?P<view>[0-7]))(?P<file>[0-9A-Za-z_-]+\.jpg)"
    )
    form = (
        "{train,query,test}/IDENTITY/{vis,ni,th}/NAME.jpg with vV (V 0-7) and nN in NAME, of four parts or more "
        "between underscores"
    )

    def item_name(self, match: re.Match[str]) -> str:
        """Return identity and name: other identities have the same names."""
        return f"{match['identity']}/{match['file']}"

    def labels(self, match: re.Match[str]) -> tuple[int, int, int]:
        """Return identity, view and night."""
        return int(match["identity"]), int(match["view"]), int(match["night"])

    def scan(self, paths: Iterable[str], assignment: Assignment | None = None) -> Scan:
        """Turn image paths into items, pairing by place in the listings where names do not tell."""
        named, faults = self._named_alike(paths)
        real = {alike: path for path, alike in named.items()}
        found = super().scan(real, assignment)
        items = (replace(i, images={m: real[path] for m, path in i.images.items()}) for i in found.items)
        misnamed = (replace(fault, path=real[fault.path]) for fault in found.misnamed)
        return Scan(tuple(items), (*misnamed, *faults), found.missing)

    def plan(self, scale: Scale) -> list[PlannedFrame]:
        """Return what synthetic WMVeID863 consists of."""
        return adaptation_plans.wmveid863(scale)

    def _named_alike(self, paths: Iterable[str]) -> tuple[dict[str, str], list[Fault]]:
        """Return each path with the one that it would have if all images of an item were named as that of RGB."""
        listings: dict[str, dict[str, list[str]]] = {}
        for path in sorted(paths):
            folder, _, _ = path.rpartition("/")
            identity, _, sensor = folder.rpartition("/")
            listings.setdefault(identity, {}).setdefault(sensor, []).append(path)
        alike: dict[str, str] = {}
        faults: list[Fault] = []
        for identity, by_sensor in listings.items():
            found = self._by_place(identity, by_sensor)
            if isinstance(found, Fault):
                faults.append(found)
            else:
                alike |= found
        return alike, faults

    def _by_place(self, identity: str, listings: Mapping[str, list[str]]) -> dict[str, str] | Fault:
        """Name the images of one identity, or say why they cannot be told which belong together."""
        first = listings.get("vis", [])
        result = {path: path for listing in listings.values() for path in listing}
        for sensor in ("ni", "th"):
            own = listings.get(sensor, [])
            if not first or not own or _names(first) & _names(own):
                continue
            if len(first) != len(own):
                what = f"{counted(len(own), 'image')} to go with {len(first)} in vis, and no name in common"
                return Fault(f"{identity}/{sensor}", what)
            for path, other in zip(own, first, strict=True):
                match, beside = self._match(path), self._match(other)
                if match and beside and match.group("view", "night") != beside.group("view", "night"):
                    return Fault(path, f"no name in common with vis, and another view or light than {other}")
                result[path] = f"{identity}/{sensor}/{splitext(other)[0].rpartition('/')[2]}{splitext(path)[1]}"
        return result


def _names(paths: Iterable[str]) -> set[str]:
    return {splitext(path)[0].rpartition("/")[2] for path in paths}
