"""Two methods trained for a moment on a few plain coloured images, whose folder is then gone."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cli.running import Outcome, environment, in_process
from tests.data.trees import plant

METHODS = ("mdreid", "single-classifier")
QUICK = (
    *("--preset", "tiny", "--device", "cpu", "--epochs", "1", "--batch-size", "8", "--set", "batch.instances=4"),
    *("--set", "trunk.pretrained=null", "--set", "trunk.layers=2", "--set", "image.scale=0.25"),
)


@dataclass(frozen=True)
class Trained:
    """A results folder and the images behind it.

    Attributes:
        results: with one run of each of ``METHODS``, evaluated under two protocols, and of mdreid with another seed.
        images: where the images are now; the folder that the runs read is gone.
        environment: in which to call the command line.
    """

    results: Path
    images: Path
    environment: dict[str, str]

    def call(self, *arguments: str) -> Outcome:
        """Run ``mdreid-bench`` in this process on this results folder."""
        return in_process(*arguments, "--results", str(self.results), env=self.environment)

    def folder(self, method: str, seed: int = 1) -> Path:
        """Return the folder of a run."""
        (found,) = (self.results / "runs").glob(f"msvr310-{method}-tiny-s{seed}-*")
        return found


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    root = tmp_path_factory.mktemp("trained")
    own = environment(MDREID_CACHE=str(root / "cache"))
    plant(root / "data", "msvr310")
    common = ("run", "--dataset", "msvr310", "--data-root", str(root / "data"), "--results", str(root / "results"))
    for methods, seed in ((METHODS, "1"), (METHODS[:1], "2")):
        named = [part for method in methods for part in ("--method", method)]
        cells = ["--protocol", "R-to-NT", "--protocol", "RNT-to-RNT", "--seed", seed]
        cells += ["--tensorboard"] if seed == "2" else []
        done = in_process(*common, *named, *cells, *QUICK, env=own)
        assert done.returncode == 0, done.stderr
    (root / "data").rename(root / "moved")
    return Trained(root / "results", root / "moved" / "MSVR310", own)
