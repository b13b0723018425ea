"""Visual towers of open_clip by name, with weights from a tag, a file or the package itself."""

import json
import math
import re
from collections.abc import Collection
from importlib import resources
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mdreid_bench.config.schema import TrunkConfig
from mdreid_bench.errors import DataError, UsageError
from mdreid_bench.models.state_dict import Faults, check_numbers, read_state
from mdreid_bench.models.trunk.download import download, quiet_logging
from mdreid_bench.models.trunk.hub_weights import from_hub, is_hub
from mdreid_bench.models.trunk.imagenet_weights import is_imagenet, to_open_clip
from mdreid_bench.models.trunk.resnet_weights import RESNETS, fetched
from mdreid_bench.models.weights_path import entry_of, local_weights
from mdreid_bench.results.storage.files import read_regular
from mdreid_bench.wording import listed
from protocols.names import UnknownNameError

BUNDLED_TAG = "synthetic"
_QUICK = "-quickgelu"
_ACTIVATION = {True: "QuickGELU", False: "GELU"}
_OPENAI_MARKS = {"input_resolution", "context_length", "vocab_size"}
"""Entries that only OpenAI's own checkpoints have; all of these were trained with QuickGELU."""
_BLOCK = re.compile(r"transformer\.resblocks\.(\d+)\.")
_SMALL_TEXT = {"context_length": 8, "vocab_size": 16, "width": 32, "heads": 1, "layers": 1}


def visual_tower(config: TrunkConfig) -> nn.Module:
    """Return an open_clip vision transformer with the weights that ``config`` asks for, float32 on the CPU.

    Raises:
        UnknownNameError: for a model name or tag that open_clip does not know.
        UsageError: when the model has fewer blocks than asked for, or another activation than the weights.
        DataError: when the weights cannot be had or do not fit.
    """
    import open_clip

    visual: nn.Module | None = None
    if config.name not in RESNETS:
        with quiet_logging():
            parts = {"vision_cfg": _vision_settings(config), "text_cfg": _SMALL_TEXT}
            visual = open_clip.create_model(config.name, load_weights=False, **parts).visual
    if visual is None or not hasattr(visual, "class_embedding"):
        raise DataError(
            f"The trunk {config.name} is not a vision transformer with a class token; choose a ViT model."
        )
    if config.pretrained is not None:
        load_visual(visual, weights_file(config), config.name)
    return visual


def tower_bytes(config: TrunkConfig) -> int:
    """Return how large the blocks of a trunk are, as far as open_clip's description tells; 0 if it does not.

    A block has 12 W^2 parameters but for its biases and norms.

    Raises:
        UnknownNameError: for a model name that open_clip does not know.
        UsageError: when the model has fewer blocks than asked for.
    """
    if config.name in RESNETS:
        return RESNETS[config.name]
    settings = _vision_settings(config)
    width, layers = settings.get("width"), settings.get("layers")
    return 4 * 12 * width**2 * layers if isinstance(width, int) and isinstance(layers, int) else 0


def _vision_settings(config: TrunkConfig) -> dict[str, Any]:
    """Return open_clip's settings of a visual tower, with as many blocks as are wanted."""
    settings: dict[str, Any] = dict(_settings(config.name)["vision_cfg"])
    if config.layers is not None:
        if not isinstance(settings.get("layers"), int) or config.layers > settings["layers"]:
            raise UsageError(
                f"trunk.layers={config.layers} cannot be had from {config.name}, which has "
                f"{settings.get('layers', 'another kind of')} blocks."
            )
        settings["layers"] = config.layers
    return settings


def _settings(name: str) -> dict[str, Any]:
    """Return open_clip's settings of a model, those of this suite's own models included."""
    import open_clip

    if name not in open_clip.list_models():
        for file in resources.files("mdreid_bench.models").joinpath("trunks").iterdir():
            with resources.as_file(file) as path:
                open_clip.add_model_config(path)
    if name not in open_clip.list_models():
        known = [*RESNETS, *open_clip.list_models()]
        own = [name for name in known if name.startswith("mdreid-")]
        shown = [*own, *RESNETS, "vision transformers of open_clip, such as ViT-B-16-quickgelu"]
        raise UnknownNameError("trunk", name, known, dict.fromkeys(shown))
    return open_clip.get_model_config(name) or {}


def weights_file(config: TrunkConfig) -> Path:
    """Return the local file that holds the weights, downloading those of a tag when they are not cached.

    Raises:
        UnknownNameError: when ``pretrained`` is neither a file nor a tag of this model, or there is no such model.
        UsageError: when the tag's weights were trained with another activation than the model has.
        DataError: when the download fails.
    """
    local = local_weights(config)
    if local is not None:
        return local
    if config.name in RESNETS:
        return fetched(config)
    import open_clip  # slow to import

    tag = config.pretrained or ""
    _settings(config.name)
    tags = open_clip.list_pretrained_tags_by_model(config.name)
    known = open_clip.get_pretrained_cfg(config.name, tag)
    if not known:
        raise UnknownNameError(f"weights tag or file for {config.name}", tag, tags or [BUNDLED_TAG])
    if known.get("quick_gelu", False) != (open_clip.get_model_config(config.name) or {}).get("quick_gelu", False):
        raise _other_activation(f"{config.name}/{tag}", config.name, quick=known.get("quick_gelu", False))
    try:
        return download(known)
    except Exception as error:
        raise DataError(
            f"The weights {config.name}/{tag} are not cached and could not be downloaded "
            f"({type(error).__name__}); pass a local copy with --set trunk.pretrained=/path/to/weights.pt, "
            "or use --preset tiny."
        ) from None


def load_visual(visual: nn.Module, path: Path, name: str) -> None:
    """Load a CLIP checkpoint, a visual tower or an ImageNet ViT into ``visual``, all names and shapes checked.

    A position table of another square grid replaces that of the model: it is interpolated for the images in any case.

    Args:
        visual: vision transformer of open_clip.
        path: the file.
        name: of the model, for messages.

    Raises:
        UsageError: for weights that were trained with another activation, which would run and be wrong.
        DataError: when the file is unreadable, with what is missing, unexpected, misshapen or no usable number.
    """
    state, quick = _in_file(path)
    if quick is not None and quick != _has_quickgelu(visual):
        raise _other_activation(str(path), name, quick=quick)
    own: Any = visual
    table = state.get("positional_embedding", own.positional_embedding)
    if table.ndim == 2 and len(table) > 1 and math.isqrt(len(table) - 1) ** 2 == len(table) - 1:
        own.positional_embedding = nn.Parameter(torch.zeros(len(table), own.positional_embedding.shape[1]))
    wanted = {key: tuple(value.shape) for key, value in visual.state_dict().items()}
    state = {key: value for key, value in state.items() if not _beyond(key, visual)}
    if not wanted.keys() & state.keys():
        raise DataError(
            f"The weights {path} do not fit the trunk {name}: their tensors are called {listed(sorted(state), 3)}; "
            "weights of a whole method are started from with --init."
        )
    faults = Faults.between(wanted, {key: tuple(value.shape) for key, value in state.items()})
    if faults:
        raise DataError(f"The weights {path} do not fit the trunk {name} ({faults}).")
    check_numbers(path, visual.state_dict(), state)
    visual.load_state_dict({key: value.float() for key, value in state.items()})


def note_on(config: TrunkConfig) -> str | None:
    """Return what is assumed of a file of weights that does not say it: the activation; None where all is known.

    Raises:
        DataError: when the file is unreadable.
    """
    path = local_weights(config)
    if path is None or config.name in RESNETS or not entry_of(Path(config.pretrained or ""))[0].is_file():
        return None
    state, quick = _in_file(path)
    if quick is not None or "ln_pre.weight" not in state:
        return None
    quick = bool(_settings(config.name).get("quick_gelu", False))
    other = _named(config.name, quick=not quick)
    return (
        f"The weights {path} do not say their activation; {_ACTIVATION[quick]}, that of the trunk {config.name}, is "
        f"assumed (with {_ACTIVATION[not quick]}: --set trunk.name={other})."
    )


def _in_file(path: Path) -> tuple[dict[str, Tensor], bool | None]:
    """Return a tower by open_clip's names, and whether it was trained with QuickGELU as far as anything says so."""
    state = read_state(path, _is_tower, archives=True)
    quick = True if state.keys() >= _OPENAI_MARKS else _described(entry_of(path)[0].parent)
    if is_hub(state):
        state = from_hub(state)
    if is_imagenet(state):
        return to_open_clip(state), None
    if any(key.startswith("visual.") for key in state):
        state = {key.removeprefix("visual."): value for key, value in state.items() if key.startswith("visual.")}
    return state, quick


def _is_tower(names: Collection[str]) -> bool:
    return bool({"class_embedding", "visual.class_embedding"} & set(names)) or is_imagenet(names) or is_hub(names)


def _described(folder: Path) -> bool | None:
    """Return whether a description that open_clip or the hub's library wrote beside the weights says QuickGELU."""
    for name in ("open_clip_config.json", "config.json"):
        try:
            found = json.loads(read_regular(folder / name))
            if name == "open_clip_config.json":
                return bool(found["model_cfg"].get("quick_gelu", False))
            return bool(found.get("vision_config", found)["hidden_act"] == "quick_gelu")
        except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
            continue
    return None


def _has_quickgelu(visual: nn.Module) -> bool:
    import open_clip

    return any(isinstance(module, open_clip.model.QuickGELU) for module in visual.modules())


def _beyond(name: str, visual: nn.Module) -> bool:
    """Tell whether a parameter belongs to a block that was cut off."""
    block = _BLOCK.match(name)
    kept: Any = visual.transformer
    return block is not None and int(block[1]) >= len(kept.resblocks)


def _other_activation(weights: str, model: str, *, quick: bool) -> UsageError:
    return UsageError(
        f"The weights {weights} were trained with {_ACTIVATION[quick]}, which the trunk {model} has not; "
        f"choose the one that has with --set trunk.name={_named(model, quick=quick)}."
    )


def _named(model: str, *, quick: bool) -> str:
    return model.removesuffix(_QUICK) + (_QUICK if quick else "")
