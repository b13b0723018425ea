"""Where a record says that it came from."""

import os
import subprocess
from pathlib import Path

import pytest

from mdreid_bench.results.provenance import collect, git_state


def git(tree: Path, *arguments: str) -> str:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    identity = ["-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "commit.gpgsign=false"]
    command = ["git", *identity, "-C", str(tree), *arguments]
    return subprocess.check_output(command, text=True, env=clean).strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    tree = tmp_path / "tree"
    (tree / "protocols").mkdir(parents=True)
    (tree / "protocols" / "a.py").write_text("")
    git(tree, "init", "-q")
    git(tree, "add", ".")
    git(tree, "commit", "-q", "-m", "x")
    git_state.cache_clear()
    return tree


def test_this_process_is_described() -> None:
    provenance = collect("a GPU", {"train": 1.5}, {"train": 2})
    assert provenance.gpu == "a GPU"
    assert provenance.phase_seconds == {"train": 1.5}
    assert provenance.threads == {"train": 2}
    assert provenance.versions["numpy"]
    assert provenance.cores >= 1
    assert provenance.cpu
    assert provenance.created.utcoffset() is not None


def test_a_clean_checkout_gives_its_commit(checkout: Path) -> None:
    assert git_state(checkout) == (git(checkout, "rev-parse", "HEAD"), False)


def test_changed_and_new_code_is_dirty_but_notes_are_not(checkout: Path) -> None:
    (checkout / "notes.txt").write_text("")
    assert git_state(checkout)[1] is False
    git_state.cache_clear()
    (checkout / "protocols" / "new.py").write_text("")
    assert git_state(checkout)[1] is True


def test_git_variables_of_a_hook_do_not_mislead(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_DIR", str(checkout.parent / "elsewhere"))
    assert git_state(checkout)[0] == git(checkout, "rev-parse", "HEAD")


def test_a_folder_inside_a_checkout_is_not_one(checkout: Path) -> None:
    assert git_state(checkout / "protocols") == (None, None)


def test_a_checkout_without_commits_has_no_state(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    git_state.cache_clear()
    assert git_state(tmp_path) == (None, None)
