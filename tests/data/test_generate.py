"""Writing synthetic datasets: the same bytes each time, all or nothing, never over something else."""

import hashlib
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from mdreid_bench.data import registry
from mdreid_bench.data.check_rules import Kind
from mdreid_bench.data.marker import MARKER, Marker, read_marker
from mdreid_bench.data.opening import open_dataset
from mdreid_bench.data.synthetic import generate as module
from mdreid_bench.data.synthetic.generate import generate
from mdreid_bench.data.synthetic.plan import marked, spaced, spread
from mdreid_bench.errors import DataError, UsageError
from mdreid_bench.progress import Silent
from mdreid_bench.results.storage.lock import attempt
from protocols.names import UnknownNameError
from tests.data.trees import DATASETS, Recorder, check_dataset, names, paint
from tests.support import mostly_slow


def content(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.mark.parametrize(
    ("dataset", "train", "test", "identities", "query", "asked"),
    [
        ("rgbnt201", 384, 240, (96, 24), 240, 24),
        ("rgbnt100", 384, 288, (96, 24), 72, 24),
        ("msvr310", 384, 240, (96, 30), 192, 24),
    ],
)
def test_tiny_plans(dataset: str, train: int, test: int, identities: tuple[int, int], query: int, asked: int) -> None:
    plan = registry.get(dataset).plan("tiny")
    paths = names(plan)
    assert len(paths) == len(set(paths))
    parts = [[f for f in plan if ("train" in f.paths[0]) == wanted] for wanted in (True, False)]
    assert [len(part) for part in parts] == [train, test]
    assert tuple(len({f.identity for f in part}) for part in parts) == identities
    queries = parts[1] if dataset == "rgbnt201" else [f for f in parts[1] if f.copy]
    assert len(queries) == query
    assert len({f.identity for f in queries}) == asked
    if dataset != "msvr310":
        cameras = Counter(i for i, _ in {(f.identity, f.camera) for f in plan})
        assert set(cameras.values()) == ({2} if dataset == "rgbnt201" else {3, 4})


@pytest.mark.parametrize("dataset", DATASETS)
def test_generated_set_opens(dataset: str, small: dict[str, int], tmp_path: Path) -> None:
    recorder = Recorder()
    generate(tmp_path / "a", dataset, "tiny", 0, recorder)
    assert recorder.totals == [small[dataset]] == [recorder.done]
    index = open_dataset(dataset, tmp_path / "a", recorder)
    assert index.synthetic
    assert len(index.train) + len(index.test) == small[dataset]
    assert recorder.messages == []
    height, width = index.card.image_size
    assert {image.size for image in index.read(index.test.images[0]).values()} == {(width, height)}


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("dataset", mostly_slow(DATASETS, ("msvr310",)))
def test_generated_set_is_the_same_each_time(dataset: str, tmp_path: Path) -> None:
    folder = generate(tmp_path / "a", dataset, "tiny", 0, Silent())
    again = generate(tmp_path / "b", dataset, "tiny", 0, Silent())
    assert content(folder) == content(again)
    other = generate(tmp_path / "c", dataset, "tiny", 1, Silent())
    assert set(content(other)) == set(content(folder))
    assert not set(content(other).values()) & set(content(folder).values())


def test_workers_do_not_change_the_bytes(small: dict[str, int], tmp_path: Path) -> None:
    one = generate(tmp_path / "one", "rgbnt100", "tiny", 0, Silent(), workers=1)
    two = generate(tmp_path / "two", "rgbnt100", "tiny", 0, Silent(), workers=2)
    assert content(one) == content(two)


def test_query_copies_are_byte_copies(small: dict[str, int], tmp_path: Path) -> None:
    folder = generate(tmp_path, "rgbnt100", "tiny", 0, Silent())
    copies = list((folder / "rgbir/query").iterdir())
    assert len(copies) == 6
    for copy in copies:
        assert copy.read_bytes() == (folder / "rgbir/bounding_box_test" / copy.name).read_bytes()
        with Image.open(copy) as strip:
            assert strip.size == (768, 128)


@pytest.mark.usefixtures("small")
def test_existing_folders(tmp_path: Path) -> None:
    folder = generate(tmp_path, "msvr310", "tiny", 0, Silent())
    marker = read_marker(folder)
    assert Marker(dataset="msvr310", scale="tiny", seed=0).same_making(marker)
    assert marker is not None
    assert marker.files == len(list(folder.rglob("*.jpg")))
    recorder = Recorder()
    assert generate(tmp_path, "msvr310", "tiny", 0, recorder) == folder
    assert recorder.totals == []
    with pytest.raises(UsageError, match="already holds another dataset") as caught:
        generate(tmp_path, "msvr310", "tiny", 1, Silent())
    assert caught.value.exit_code == 2
    (folder / MARKER).unlink()
    with pytest.raises(UsageError, match="already holds another dataset; choose another folder"):
        generate(tmp_path, "msvr310", "tiny", 0, Silent())


@pytest.mark.usefixtures("small")
def test_a_folder_that_lost_items_is_refused_everywhere(tmp_path: Path) -> None:
    """All images of an item are gone, so that no single file seems to be missing."""
    folder = generate(tmp_path, "msvr310", "tiny", 0, Silent())
    lost = sorted((folder / "bounding_box_test").rglob("*.jpg"))[0]
    for sensor in ("vis", "ni", "th"):
        (lost.parent.parent / sensor / lost.name).unlink()
        (folder / "query3" / lost.parent.parent.name / sensor / lost.name).unlink(missing_ok=True)
    files = len(list(folder.rglob("*.jpg")))
    with pytest.raises(UsageError, match=f"is not as it was drawn \\({files} files instead of.*or move it away"):
        generate(tmp_path, "msvr310", "tiny", 0, Silent())
    with pytest.raises(DataError, match=f"is not as it was drawn \\({files} files instead of.*move it away"):
        open_dataset("msvr310", tmp_path, Silent())
    (finding,) = check_dataset("msvr310", tmp_path, Silent()).findings
    assert (finding.kind, finding.path) == (Kind.COUNT, MARKER)


@pytest.mark.usefixtures("small")
def test_files_of_other_sizes_are_noticed(tmp_path: Path) -> None:
    folder = generate(tmp_path, "rgbnt100", "tiny", 0, Silent())
    strip = sorted((folder / "rgbir/bounding_box_train").iterdir())[0]
    paint(strip, (768, 128), "another")
    with pytest.raises(DataError, match="files of other names or sizes"):
        open_dataset("rgbnt100", tmp_path, Silent())


@pytest.mark.usefixtures("small")
def test_interruption_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "write_frames", interrupted)
    with pytest.raises(KeyboardInterrupt):
        generate(tmp_path, "msvr310", "tiny", 0, Silent())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("small")
def test_two_at_once_agree(tmp_path: Path) -> None:
    folders: list[Path] = []
    both = threading.Barrier(2)

    def run() -> None:
        both.wait()
        folders.append(generate(tmp_path, "rgbnt100", "tiny", 0, Silent()))

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert folders == [tmp_path / "RGBNT100"] * 2
    assert [path.name for path in tmp_path.iterdir()] == ["RGBNT100"]
    assert len(open_dataset("rgbnt100", tmp_path, Silent()).test) == 24


def test_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="Cannot write synthetic MSVR310 into") as caught:
        generate(tmp_path / "file", "msvr310", "tiny", 0, Silent())
    assert caught.value.exit_code == 3


def test_unknown_names(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="dataset"):
        generate(tmp_path, "market", "tiny", 0, Silent())
    with pytest.raises(UnknownNameError, match="scale"):
        generate(tmp_path, "msvr310", "huge", 0, Silent())  # type: ignore[arg-type]


def test_sharing_out() -> None:
    assert spread(10, 4) == [2, 3, 2, 3]
    assert sum(spread(3951, 171)) == 3951
    assert spaced(258, 299, 3) == [258, 278, 299]
    assert marked(5, 2) == [False, False, True, False, True]
    assert sum(marked(25, 5)) == 5


@pytest.mark.usefixtures("small")
def test_a_second_process_waits_and_takes_what_the_first_has_drawn(tmp_path: Path) -> None:
    recorder, folders = Recorder(), []
    with attempt(tmp_path / ".MSVR310.lock"):
        thread = threading.Thread(target=lambda: folders.append(generate(tmp_path, "msvr310", "tiny", 0, recorder)))
        thread.start()
        while not recorder.messages:
            time.sleep(0.01)
        assert recorder.messages[0].startswith("Waiting for synthetic MSVR310")
        generate(tmp_path / "elsewhere", "msvr310", "tiny", 0, Silent()).rename(tmp_path / "MSVR310")
    thread.join()
    assert folders == [tmp_path / "MSVR310"]
    assert recorder.totals == []


KILLED = """
import sys
from pathlib import Path
from mdreid_bench.data.synthetic.generate import generate
from mdreid_bench.progress import Silent
if __name__ == "__main__":
    generate(Path(sys.argv[1]), "rgbnt201", "full", 0, Silent(), workers=2)
"""


def test_the_workers_of_a_killed_process_end(tmp_path: Path) -> None:
    program, root = tmp_path / "program.py", tmp_path / "data"
    program.write_text(KILLED)
    with subprocess.Popen([sys.executable, str(program), str(root)], start_new_session=True) as process:
        try:
            while not list(root.glob(".RGBNT201.*.tmp/*/*/*.jpg")):
                assert process.poll() is None
                time.sleep(0.05)
            assert len(_session(process.pid)) > 2
        finally:
            process.kill()
    end = time.monotonic() + 20
    while _session(process.pid):
        assert time.monotonic() < end
        time.sleep(0.05)


def _session(number: int) -> list[str]:
    """Return the processes of a session that still run."""
    listed = subprocess.run(["ps", "-A", "-o", "sess=,stat="], capture_output=True, text=True, check=True).stdout
    rows = [line.split() for line in listed.splitlines()]
    return [state for session, state in rows if session == str(number) and not state.startswith("Z")]
