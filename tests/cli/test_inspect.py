"""``inspect``: the pictures of a run, with its images and without."""

import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mdreid_bench.errors import UsageError
from mdreid_bench.inspection.inspected import Inspected, setting_of
from mdreid_bench.progress import Silent
from mdreid_bench.results.run_facts import RunFacts
from mdreid_bench.results.store import RunFolder, load_record, read_values
from protocols.ranking import DEFAULT_MEMORY_BUDGET
from tests.cli.conftest import Trained
from tests.cli.running import Outcome

RUN = "msvr310-mdreid-tiny-s1"
ALWAYS = {
    *("best-to-worst", "worst-failures", "typical-failures", "confused-identities"),
    *("similarities", "map-sides", "map-sensors", "parts"),
}


def inspect(trained: Trained, out: Path, *arguments: str) -> Outcome:
    return trained.call("inspect", "--run", RUN, "--queries", "1", "--out", str(out), *arguments)


def opened(trained: Trained, protocol: str | None) -> Inspected:
    folder = RunFolder(trained.folder("mdreid"))
    sizes = {"memory_budget": DEFAULT_MEMORY_BUDGET}
    return Inspected.open(folder, folder.scope(None), protocol, None, Silent(), images=False, **sizes)


@pytest.fixture(scope="module")
def shown(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Outcome]:
    """The pictures with images, and what was said."""
    out = tmp_path_factory.mktemp("pictures")
    done = inspect(trained, out, "--protocol", "R-to-NT", "--data-root", str(trained.images))
    assert done.returncode == 0, done.stderr
    return out, done


def test_every_picture_is_a_file_and_stands_on_the_page(shown: tuple[Path, Outcome]) -> None:
    out, done = shown
    said = [Path(line) for line in done.stdout.splitlines()]
    assert {path.name for path in said} == {path.name for path in out.iterdir()}
    assert said[-1] == out / "index.html"
    drawn = {path.stem for path in said[:-1]}
    # Two identities may leave no failure and no confusion; what there is lies there in both forms.
    assert {"best-to-worst", "similarities", "map-sides", "map-sensors", "parts", "attention"} <= drawn
    assert drawn <= ALWAYS | {"attention"}
    assert len(said) == 2 * len(drawn) + 1
    page = (out / "index.html").read_text(encoding="utf-8")
    for name in ALWAYS | {"attention"}:
        assert page.count(f'id="{name}"') == 1
    images = re.findall(r"<img [^>]*>", page)
    assert images
    assert all(re.search(r'alt="[^"]{6,}"', image) for image in images)
    assert not re.search(r"(?:src|href)=\"(?!data:|#)", page)
    assert "attention of the shared token" in page
    assert "Warning" not in done.stderr


def test_equal_input_makes_equal_bytes(trained: Trained, shown: tuple[Path, Outcome], tmp_path: Path) -> None:
    done = inspect(
        trained, tmp_path, "--protocol", "r-to-tn", "--data-root", str(trained.images), "--memory-budget", "1"
    )
    assert done.returncode == 0, done.stderr
    again = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert again == {path.name: path.read_bytes() for path in shown[0].iterdir()}


def test_without_images_the_rest_is_shown_and_a_sentence_says_what_is_left_out(
    trained: Trained, shown: tuple[Path, Outcome], tmp_path: Path
) -> None:
    out = shutil.copytree(shown[0], tmp_path / "out")
    done = inspect(trained, out, "--protocol", "R-to-NT")
    assert done.returncode == 0, done.stderr
    told = "neither --data-root nor MDREID_DATA says where they are"
    assert f"Without images, because {told}. Left out:" in done.stderr
    assert {path.stem for path in out.iterdir()} == {path.stem for path in shown[0].iterdir()} - {"attention"}
    page = (out / "index.html").read_text(encoding="utf-8")
    assert told in page
    assert "data:image/jpeg" not in page
    assert "no image" in page


def test_other_images_than_those_of_the_run_are_refused(trained: Trained, tmp_path: Path) -> None:
    folder = shutil.copytree(trained.images, tmp_path / "MSVR310")
    one, other = sorted(folder.glob("bounding_box_test/*/vis/*"))[:2]
    shutil.copyfile(other, one)
    done = inspect(trained, tmp_path / "out", "--data-root", str(folder))
    assert done.returncode == 3
    assert "are not those that the run was tested with" in done.stderr
    assert "--no-images" in done.stderr
    assert not (tmp_path / "out").exists()


def test_the_lists_rest_on_what_the_record_says(trained: Trained) -> None:
    found = opened(trained, "R-to-NT")
    path = found.scope.record_path("R-to-NT")
    values = read_values(path, load_record(path))
    np.testing.assert_array_equal(found.compared.measured.ap, values.metrics.ap)
    assert f"{100 * load_record(path).metrics.mAP:.1f} %" in found.about()["mAP"]


def test_synthetic_data_and_selection_on_test_data_are_named(trained: Trained) -> None:
    found = opened(trained, None)
    assert "SYNTHETIC" not in found.title + "".join(found.warnings())
    shared = found.facts.shared.model_copy(update={"data_kind": "synthetic", "selection": "best-test"})
    drawn = replace(found, facts=found.facts.model_copy(update={"shared": shared}))
    assert "(SYNTHETIC data)" in drawn.title
    assert "SYNTHETIC data" in drawn.warnings()[0]
    assert "CHOSEN ON TEST DATA" in drawn.warnings()[1]


def test_a_protocol_that_the_dataset_cannot_serve_is_refused(trained: Trained) -> None:
    facts = RunFacts.read(RunFolder(trained.folder("mdreid")).facts)
    assert str(setting_of(facts, None)) == "RNT-to-RNT"
    with pytest.raises(UsageError, match="cannot be shown of mdreid on msvr310"):
        setting_of(facts, "R-to-D")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--run", "msvr310-mdried"), 2, "Unknown run"),
        (("--run", "msvr310"), 2, "give more of its name or key"),
        (("--run", RUN, "--protocol", "R-to-X"), 2, "Unknown protocol"),
        (("--run", RUN, "--protocol", "overview"), 2, "stands for 5 protocols, and inspect shows one"),
        (("--run", RUN, "--limit", "5"), 3, "not evaluated with --limit 5; there is: full"),
        (("--run", RUN, "--query", "0999.jpg", "--no-images"), 2, "Unknown query"),
        (("--run", RUN, "--queries", "0"), 2, "at least 1, not '0'"),
        (("--run", RUN, "--projection", "umap"), 2, "Unknown value of --projection"),
        (("--run", RUN, "--data-root", "/nowhere"), 3, "/nowhere"),
    ],
)
def test_mistakes_are_one_sentence(trained: Trained, arguments: tuple[str, ...], code: int, message: str) -> None:
    done = trained.call("inspect", *arguments)
    assert done.returncode == code, done.stderr
    assert message in done.stderr
    assert done.stderr.splitlines()[-1].startswith("Error: ")
