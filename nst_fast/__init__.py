"""Train one image transformation network per painting, then paint photos in a single forward pass.

    from nst_fast import Recipe, Stylizer, train

    train("wave.jpg", "photos", "runs/wave", Recipe(steps=1600))
    painted = Stylizer("runs/wave/wave.safetensors").stylize(load_image("photo.jpg"))

The names are looked up when first used, so that `import nst_fast` is quick.
"""

import importlib
from typing import Any

_HOMES = {
    "NstFastError": "nst_fast.errors",
    "PerceptualLoss": "nst_fast.losses.perceptual",
    "Recipe": "nst_fast.training.recipe",
    "Stylizer": "nst_fast.inference.stylizer",
    "TrainingResult": "nst_fast.training.loop",
    "build_loss_network": "nst_fast.loss_networks.weights",
    "build_transform_net": "nst_fast.transform_nets",
    "list_shipped_checkpoints": "nst_fast.checkpoint",
    "load_checkpoint": "nst_fast.checkpoint",
    "load_image": "nst_fast.images",
    "save_checkpoint": "nst_fast.checkpoint",
    "save_image": "nst_fast.images",
    "train": "nst_fast.training.loop",
}

__all__ = list(_HOMES)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'nst_fast' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
