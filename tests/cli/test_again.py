"""The command in model cards: given as it is, it finds everything measured already."""

import shlex

from mdreid_bench.bundles.model_card import DATA_ROOT, command_again
from mdreid_bench.report.variants import group_variants
from mdreid_bench.results.schema import Record
from mdreid_bench.results.store import Store
from tests.cli.conftest import Trained
from tests.results.factory import make_record


def test_the_command_of_a_run_asks_for_what_is_there(trained: Trained) -> None:
    found = [record for _, record in Store(trained.results).records() if isinstance(record, Record)]
    command = command_again(group_variants(record for record in found if record.method == "mdreid")[0])
    root = str(trained.images.parent)
    words = [root if word == DATA_ROOT else word for word in shlex.split(command)]
    assert words.count("--seed") == words.count("--protocol") == 2
    done = trained.call(*words[1:], "--dry-run")
    assert done.returncode == 0, done.stderr
    assert [line.split()[-2] for line in done.stdout.splitlines() if "-mdreid-tiny-" in line] == ["nothing"] * 2


def test_what_sets_a_measurement_apart_is_in_the_command() -> None:
    made = {"limit": 60, "rerank": "20-6-0.3", "average_precision": "trapezoid", "sources": ("rgbnt100",)}
    records = [
        make_record(protocol=p, split="2", config_overrides={"a": "x y"}, **made) for p in ("R-to-N", "N-to-R")
    ]
    assert command_again(group_variants(records)[0], "best.pth") == (
        "mdreid-bench run --dataset msvr310 --method mdreid --preset tiny --source rgbnt100 --weights best.pth "
        "--limit 60 --set 'a=x y' --average-precision trapezoid --rerank 20,6,0.3 --split 2 --seed 0 "
        "--protocol R-to-N --protocol N-to-R"
    )
