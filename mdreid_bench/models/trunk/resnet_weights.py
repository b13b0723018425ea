"""Weights of convolutional trunks by torchvision's names: a tag of torchvision, a file, or the package itself."""

import re
import urllib.parse
from collections.abc import Collection, Mapping
from pathlib import Path

import torch
from torch import nn

from mdreid_bench.config.schema import TrunkConfig
from mdreid_bench.errors import DataError
from mdreid_bench.models.state_dict import Faults, check_numbers, read_state
from mdreid_bench.models.trunk.download import answers
from mdreid_bench.wording import listed
from protocols.names import UnknownNameError

RESNETS: Mapping[str, int] = {"resnet50": 94_032_128, "mdreid-resnet-tiny": 5_000_000}
"""Convolutional trunks by name, with the bytes that their parameters take, or a little more."""
_HASH = re.compile(r"-([0-9a-f]+)\.pth$")
_COUNTER = ".num_batches_tracked"
"""End of the name of what a batch norm counts and nothing here reads; old files lack it."""


def fetched(config: TrunkConfig) -> Path:
    """Return the local file of a tag of torchvision, downloading it when it is not cached.

    Raises:
        UnknownNameError: when torchvision has no such weights of this trunk.
        DataError: when the download fails.
    """
    tags = {} if config.name not in _of_torchvision() else _tags(config.name)
    tag = (config.pretrained or "").lower()
    if tag not in tags:
        raise UnknownNameError(f"weights tag or file for {config.name}", tag, sorted(tags) or ["synthetic"])
    url = tags[tag]
    path = Path(torch.hub.get_dir()) / "checkpoints" / Path(urllib.parse.urlparse(url).path).name
    if path.is_file():
        return path
    found = _HASH.search(path.name)
    try:
        if not answers(url):
            raise ConnectionError
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(url, str(path), found and found[1], progress=False)
    except Exception as error:
        raise DataError(
            f"The weights {config.name}/{tag} are not cached and could not be downloaded "
            f"({type(error).__name__}); pass a local copy of {url} with --set trunk.pretrained=FILE, "
            "or use --preset tiny."
        ) from None
    return path


def load_resnet(network: nn.Module, path: Path, name: str) -> None:
    """Load a ResNet in torchvision's naming, which is timm's too; its classifier is left out.

    Args:
        network: a trunk with these names.
        path: the file.
        name: of the trunk, for messages.

    Raises:
        DataError: when the file is unreadable, with what is missing, unexpected, misshapen or no usable number.
    """
    state = {n: v for n, v in read_state(path, _likeness).items() if not n.startswith("fc.") and _counts(n)}
    own = {n: v for n, v in network.state_dict().items() if _counts(n)}
    if not own.keys() & state.keys():
        raise DataError(
            f"The weights {path} do not fit the trunk {name}: their tensors are called {listed(sorted(state), 3)}; "
            "weights of a whole method are started from with --init."
        )
    faults = Faults.between(*({n: tuple(v.shape) for n, v in side.items()} for side in (own, state)))
    if faults:
        raise DataError(f"The weights {path} do not fit the trunk {name} ({faults}).")
    check_numbers(path, own, state)
    network.load_state_dict({n: v.float() for n, v in state.items()}, strict=False)


def _likeness(names: Collection[str]) -> float:
    return float({"conv1.weight", "bn1.weight"} <= set(names))


def _counts(name: str) -> bool:
    return not name.endswith(_COUNTER)


def _of_torchvision() -> Collection[str]:
    from torchvision.models import list_models

    return set(list_models())


def _tags(name: str) -> dict[str, str]:
    """Return the addresses of torchvision's weights by tag, such as ``"imagenet1k_v1"``."""
    from torchvision.models import get_model_weights

    return {tag.lower(): weights.url for tag, weights in get_model_weights(name).__members__.items()}
