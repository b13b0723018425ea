"""What the cells of a scope share changes nothing: together and each alone they give the same, to the last bit."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mdreid_bench.data.items import Items
from mdreid_bench.embedding.stored import StoredItems
from mdreid_bench.evaluation.cells import CellScorer
from mdreid_bench.results.form import PLAIN, Form
from protocols.corruption import Corruption
from protocols.modality import RNT, Modality
from protocols.suites import Setting, resolve
from tests.evaluation.stored import Stored, store

SETTINGS = resolve(["all", "mixed", "pooled"], RNT)
FEW = (*SETTINGS[:49:17], *SETTINGS[49:])
CORRUPTED = Corruption("fog-3", "query")
OTHERS = (
    Form(average_precision="trapezoid"),
    Form(calibration="standardised"),
    Form(corruption=CORRUPTED),
    Form(corruption=replace(CORRUPTED, side="both")),
)
CELLS = [(setting, PLAIN) for setting in SETTINGS] + [(setting, form) for setting in FEW for form in OTHERS]


def seen_by_one_sensor(stored: Stored) -> StoredItems:
    """Let every fifth item have one sensor alone, in turns."""
    sensors = stored.items.sensors.copy()
    sensors[::5] = [list(Modality.parse("RNT"))[place % 3].value for place in range(len(sensors[::5]))]
    old = stored.items
    table = replace(stored.table, items=Items(old.names, old.labels, sensors, old.roles))
    stored.folder.write_items(table)
    return stored.folder.read_items()


def figures(scorer: CellScorer, items: StoredItems, setting: Setting) -> tuple[str, ...]:
    """All that is measured of a cell, every bit of it."""
    record, values = scorer.measure(items, setting)
    told = record.model_dump_json(include={"metrics", "interval", "chance", "counts"})
    return told, *(column.tobytes().hex() for column in vars(values.metrics).values())


@pytest.mark.parametrize("lacking", [False, True])
def test_cells_measured_together_equal_each_alone(tmp_path: Path, lacking: bool) -> None:
    stored = store(tmp_path, levels=3)
    stored.calibrate()
    stored.corrupt(CORRUPTED, 1)
    items = seen_by_one_sensor(stored) if lacking else stored.table
    together = CellScorer(stored.facts, stored.scope)
    found = {(setting, form): figures(replace(together, form=form), items, setting) for setting, form in CELLS}
    assert len(together.chances) < len(found) / 2 or lacking
    for (setting, form), expected in found.items():
        assert figures(CellScorer(stored.facts, stored.scope, form), items, setting) == expected, (setting, form)


def test_zeros_of_absent_sensors_are_left_out_and_change_nothing(tmp_path: Path) -> None:
    stored = store(tmp_path)
    rng = np.random.default_rng(1)
    blocks = {subset: rng.integers(3, size=(24, 4, 32)).astype(np.float32) for subset in stored.matrices}
    for subset, vectors in blocks.items():
        vectors[:, [number for number, sensor in enumerate(RNT) if sensor not in subset]] = 0
    spread = replace(stored, matrices={s: v.reshape(24, -1) for s, v in blocks.items()})
    items = spread.changed(lambda matrix: matrix)
    at_once, one_by_one = (CellScorer(stored.facts, stored.scope, memory_budget=budget) for budget in (2**30, 1))
    for setting in resolve(["all"], RNT)[::5]:
        assert figures(at_once, items, setting) == figures(one_by_one, items, setting)
