"""Train one image transformation network per style image, then stylize photos and films in a single forward pass.

    from nst_fast import Stylizer, read_picture, write_picture

    stylizer = Stylizer("wave")
    write_picture("stylized.png", stylizer.stylize_picture(read_picture("photo.jpg")))

Names are imported when they are first used: `import nst_fast` is fast, and stylizing never imports PyTorch.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nst_fast.errors import NstFastError as NstFastError
    from nst_fast.evaluation.evaluate import evaluate as evaluate
    from nst_fast.evaluation.settings import EvaluateSettings as EvaluateSettings
    from nst_fast.films.film import FilmSettings as FilmSettings
    from nst_fast.films.film import stylize_film as stylize_film
    from nst_fast.loss_networks.weights import build_loss_network as build_loss_network
    from nst_fast.losses.perceptual import PerceptualLoss as PerceptualLoss
    from nst_fast.media.pictures import Picture as Picture
    from nst_fast.media.pictures import read_picture as read_picture
    from nst_fast.media.pictures import write_picture as write_picture
    from nst_fast.networks.checkpoint import Checkpoint as Checkpoint
    from nst_fast.networks.checkpoint import load_checkpoint as load_checkpoint
    from nst_fast.networks.checkpoint_header import list_shipped_checkpoints as list_shipped_checkpoints
    from nst_fast.networks.torch_network import build_network as build_network
    from nst_fast.networks.torch_network import load_network as load_network
    from nst_fast.optimization.optimize import optimize_image as optimize_image
    from nst_fast.optimization.settings import OptimizeSettings as OptimizeSettings
    from nst_fast.stylize.look import Look as Look
    from nst_fast.stylize.stylizer import Stylizer as Stylizer
    from nst_fast.training.loop import TrainingResult as TrainingResult
    from nst_fast.training.loop import train as train
    from nst_fast.training.settings import TrainSettings as TrainSettings

    __version__: str

# Where each name is at home. A test compares this with the imports above, which are for editors and type checkers.
_HOMES = {
    "Checkpoint": "nst_fast.networks.checkpoint",
    "EvaluateSettings": "nst_fast.evaluation.settings",
    "FilmSettings": "nst_fast.films.film",
    "Look": "nst_fast.stylize.look",
    "NstFastError": "nst_fast.errors",
    "OptimizeSettings": "nst_fast.optimization.settings",
    "PerceptualLoss": "nst_fast.losses.perceptual",
    "Picture": "nst_fast.media.pictures",
    "Stylizer": "nst_fast.stylize.stylizer",
    "TrainSettings": "nst_fast.training.settings",
    "TrainingResult": "nst_fast.training.loop",
    "build_loss_network": "nst_fast.loss_networks.weights",
    "build_network": "nst_fast.networks.torch_network",
    "evaluate": "nst_fast.evaluation.evaluate",
    "list_shipped_checkpoints": "nst_fast.networks.checkpoint_header",
    "load_checkpoint": "nst_fast.networks.checkpoint",
    "load_network": "nst_fast.networks.torch_network",
    "optimize_image": "nst_fast.optimization.optimize",
    "read_picture": "nst_fast.media.pictures",
    "stylize_film": "nst_fast.films.film",
    "train": "nst_fast.training.loop",
    "write_picture": "nst_fast.media.pictures",
}

__all__ = ["__version__", *_HOMES]  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from nst_fast.networks.checkpoint_header import program_version

        return program_version()
    if name not in _HOMES:
        raise AttributeError(f"module 'nst_fast' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
