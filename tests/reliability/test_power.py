"""A power cut loses no more than a kill, because everything is on the disk before the next step."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.reliability.machine import ARGUMENTS, Machine
from tests.reliability.power import SIGN

CARELESS = {
    "content of .*/b": "os.replace(here + '/a.tmp', here + '/b'); sync('.')",
    "parts of .*/c, which is written in its place": "open(here + '/c', 'w').close()",
    "entry of .*/b, not synced at the end": "sync('a.tmp'); os.replace(here + '/a.tmp', here + '/b')",
    "entry of .*/d, not synced before replace": (
        "os.mkdir(here + '/d'); sync('a.tmp'); os.replace(here + '/a.tmp', here + '/b'); sync('.')"
    ),
    "entry of .*/b, not synced at the end$": (
        "sync('a.tmp'); names = (here + '/a.tmp', here + '/b'); "
        "aside = Thread(target=os.replace, args=names); aside.start(); aside.join()"
    ),
    "entry of .*/b, not synced before unlink of .*/old": (
        "sync('a.tmp'); os.replace(here + '/a.tmp', here + '/b'); os.unlink(here + '/old'); sync('.')"
    ),
}
CAREFUL = "sync('a.tmp'); os.replace(here + '/a.tmp', here + '/b'); sync('.'); os.unlink(here + '/old')"
PROGRAM = """
import os, sys
from threading import Thread
from tests.reliability.power import Watch
here = sys.argv[1]
def sync(name):
    descriptor = os.open(here + '/' + name, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)
watch = Watch(here)
watch.install()
{}
watch.finish()
"""


def _complaints(folder: Path, doing: str) -> list[str]:
    (folder / "a.tmp").write_text("new")
    (folder / "old").touch()
    command = [sys.executable, "-c", PROGRAM.format(doing), str(folder)]
    return subprocess.run(command, check=True, stderr=subprocess.PIPE, text=True).stderr.splitlines()


@pytest.mark.parametrize("complaint", CARELESS)
def test_the_watch_notices_carelessness(tmp_path: Path, complaint: str) -> None:
    (line,) = _complaints(tmp_path, CARELESS[complaint])
    assert re.match(f"{SIGN} the {complaint}", line)


def test_the_watch_has_nothing_against_care(tmp_path: Path) -> None:
    assert _complaints(tmp_path, CAREFUL) == []


def test_a_run_and_what_is_made_of_it_survive_a_power_cut(machine: Machine, tmp_path: Path) -> None:
    results = tmp_path / "r"
    code, job = machine.run(results, watch=True)
    assert (code, SIGN in job.text) == (0, False), job.text
    for name, arguments in {
        "best epoch": (*ARGUMENTS, "--select", "best-test"),
        "merged": ("merge", str(results)),
    }.items():
        code, job = machine.run(tmp_path / name, arguments=arguments, data=name != "merged", watch=True)
        assert (code, SIGN in job.text) == (0, False), job.text


def test_going_on_survives_a_power_cut(machine: Machine, tmp_path: Path) -> None:
    for number in (30, 55, 75):
        results = tmp_path / str(number)
        machine.run(results, kill_at=number)
        code, job = machine.run(results, watch=True)
        assert (code, SIGN in job.text) == (0, False), job.text
