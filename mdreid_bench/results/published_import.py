"""How ``results/published/*.csv`` was made, once, from the collection of printed figures.

Run ``python -m mdreid_bench.results.published_import published.yaml results/published`` to make the files again.
"""

import csv
import io
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from mdreid_bench.results.published import AVERAGE, DERIVED, FIELDS, SOURCES
from mdreid_bench.results.storage.atomic import write_text
from protocols.modality import RNT, Modality
from protocols.protocol import Protocol

Entry = Mapping[str, Any]

_LETTERS = {"RGB": "R", "NIR": "N", "TIR": "T"}
_METRICS = {
    "mAP": "mAP",
    "R-1": "rank1",
    "R-5": "rank5",
    "R-10": "rank10",
    "Params_M": "parameters_millions",
    "FLOPs_G": "flops_billions",
    "extract_s": "extraction_seconds",
    "retrieval_s": "retrieval_seconds",
}
_NAMED_SETTINGS = {
    "Average": f"{AVERAGE}missing",
    "Average (as printed)": f"{AVERAGE}paper-mismatched",
    "mean of the 4 printed columns": f"{DERIVED}paper-mismatched",
    "ablation average": f"{AVERAGE}ablation",
    "HarmMean": "harmonic-mean",
    "cost": "",
}
_DATASETS = {"-": "", "RGBNT201 test": "rgbnt201"}
_SPECTRA = re.compile(r"(?:^|\s)((?:RGB|NIR|TIR)(?:-(?:RGB|NIR|TIR))*)$")
_MISCOUNTED = re.compile(r"ablation average \(6 settings .*text says 8\)")
_MISCOUNT_NOTE = "the text of the paper says eight settings and lists six"


def convert(document: Mapping[str, Any]) -> dict[str, list[dict[str, str]]]:
    """Return file name -> rows; every entry of the document becomes one row.

    Raises:
        ValueError: for a setting, metric or source that is not known.
    """
    sources = document["sources"]
    files: dict[str, list[dict[str, str]]] = {}
    for entry in document["entries"]:
        source = sources[entry["source"]]
        files.setdefault(f"{_slug(source['paper'])}.csv", []).append(_row(entry, source["address"]))
    files[SOURCES] = [
        {"source": source["address"], "paper": source["paper"], "read": source["seen_in"].strip()}
        for source in sources.values()
    ]
    return files


def main(collection: Path, folder: Path) -> None:
    """Write the files."""
    document = yaml.safe_load(collection.read_text(encoding="utf-8"))
    for name, rows in convert(document).items():
        write_text(folder / name, _csv(rows))


def _row(entry: Entry, address: str) -> dict[str, str]:
    notes = [entry.get("note", "")]
    if _MISCOUNTED.fullmatch(entry["setting"]):
        notes.append(_MISCOUNT_NOTE)
    row = {
        "paper": entry["paper"],
        "table": entry["table"],
        "dataset": _DATASETS.get(entry["dataset"], entry["dataset"].lower()),
        "method": entry["method"],
        "protocol": _protocol(entry),
        "metric": _METRICS[entry["metric"]],
        "value": repr(float(entry["value"])),
        "source": address,
        "note": "; ".join(filter(None, notes)),
    }
    return {field: row[field] for field in FIELDS}


def _protocol(entry: Entry) -> str:
    """Translate the words for a setting, such as ``RT->NT`` or ``M(RGB+NIR)``, to the name of a protocol."""
    setting: str = entry["setting"]
    if _MISCOUNTED.fullmatch(setting):
        setting = "ablation average"
    if setting in _NAMED_SETTINGS:
        return _NAMED_SETTINGS[setting]
    if missing := re.fullmatch(r"M\(([A-Z+]+)\)", setting):
        return _both(RNT & ~_subset(missing[1].split("+")))
    if setting.startswith("matched (same spectra"):
        spectra = _SPECTRA.search(entry["method"])
        return _both(_subset(spectra[1].split("-")) if spectra else RNT)
    return str(Protocol.parse(setting.removeprefix("matched ").replace("->", "-to-")))


def _subset(spectra: Iterable[str]) -> Modality:
    return Modality.parse("".join(_LETTERS[name] for name in spectra))


def _both(subset: Modality) -> str:
    return str(Protocol(subset, subset))


def _slug(paper: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", paper.lower()).strip("-")


def _csv(rows: list[dict[str, str]]) -> str:
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
