"""Draws planned items and writes them as files: JPEG, unless their names say BMP."""

import io
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image

from mdreid_bench.data.synthetic.draw import draw_camera, draw_identity, draw_scene, stream
from mdreid_bench.data.synthetic.latents import CameraModel, IdentityLatent, Kind
from mdreid_bench.data.synthetic.plan import PlannedFrame
from mdreid_bench.data.synthetic.render import render

NAMESPACE = "dataset"
"""Namespace of all random streams of synthetic datasets; nothing else may use it."""
_QUALITY = 90


@lru_cache(maxsize=256)
def _identity(kind: Kind, dataset: str, seed: int, number: int) -> IdentityLatent:
    return draw_identity(kind, stream(NAMESPACE, seed, dataset, "identity", number))


@lru_cache(maxsize=64)
def _camera(kind: Kind, dataset: str, seed: int, number: int) -> CameraModel:
    return draw_camera(kind, stream(NAMESPACE, seed, dataset, "camera", number), number)


def write_frame(folder: Path, kind: Kind, dataset: str, seed: int, frame: PlannedFrame) -> None:
    """Draw one item and write its files; the folders must exist."""
    images = render(
        _identity(kind, dataset, seed, frame.identity),
        _camera(kind, dataset, seed, frame.camera),
        draw_scene(kind, stream(NAMESPACE, seed, dataset, "scene", *frame.scene), place=frame.place),
        stream(NAMESPACE, seed, dataset, "frame", frame.paths[0]),
        sensors=frame.sensors,
    )
    pictures = list(images.values())
    if len(frame.paths) == 1:
        pictures = [np.concatenate(pictures, axis=1)]
    for number, picture in enumerate(pictures):
        buffer, file_format = io.BytesIO(), "BMP" if frame.paths[number].endswith(".bmp") else "JPEG"
        Image.fromarray(picture).save(buffer, file_format, quality=_QUALITY)
        for paths in (frame.paths, frame.copy):
            if paths:
                (folder / paths[number]).write_bytes(buffer.getvalue())


def write_frames(folder: Path, kind: Kind, dataset: str, seed: int, frames: Sequence[PlannedFrame]) -> int:
    """Write several items and return their number."""
    for frame in frames:
        write_frame(folder, kind, dataset, seed, frame)
    return len(frames)
