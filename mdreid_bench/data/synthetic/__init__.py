"""Synthetic persons and vehicles as three aligned sensors would see them."""

from mdreid_bench.data.synthetic.draw import draw_camera, draw_identity, draw_scene, stream
from mdreid_bench.data.synthetic.latents import IMAGE_SIZE, CameraModel, IdentityLatent, Kind, SceneModel
from mdreid_bench.data.synthetic.render import render

__all__ = [
    "IMAGE_SIZE",
    "CameraModel",
    "IdentityLatent",
    "Kind",
    "SceneModel",
    "draw_camera",
    "draw_identity",
    "draw_scene",
    "render",
    "stream",
]
