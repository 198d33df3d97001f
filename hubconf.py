"""Entry points for `torch.hub`, in a clone or straight from its repository.

stylizer = torch.hub.load("path/to/nst_fast", "stylizer", style="wave", source="local")
network = torch.hub.load("path/to/nst_fast", "network", style="wave", source="local")
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn

    from nst_fast.stylize.stylizer import Stylizer

dependencies = ["numpy", "onnxruntime", "PIL", "psutil", "safetensors", "torch"]


def stylizer(style: str = "wave", *, strength: float = 1.0, device: str | None = None) -> "Stylizer":
    """What stylizes paths, PIL images, NumPy arrays and tensors, see `Stylizer`.

    Args:
        style: a shipped style, a checkpoint file, a style image, or a blend.
        strength: how much the network stylizes, 0 to 2, for styles that have this knob.
        device: such as cpu or cuda. None: a GPU if there is one, else cpu.

    Raises:
        CheckpointError, ImageError, SettingError: see `Stylizer`.
    """
    from nst_fast.stylize.look import Look
    from nst_fast.stylize.stylizer import Stylizer

    return Stylizer(style, device=device, look=Look(strength=strength))


def network(style: str = "wave") -> "nn.Module":
    """The network as a module, in evaluation mode: (B, 3, H, W), float32 in [0, 1], to the same shape and range.

    Sides may have any number of pixels. Gradients pass, to the photo and to the weights.

    Args:
        style: as for `stylizer`.

    Raises:
        CheckpointError, ImageError, SettingError: see `Stylizer`.
    """
    from nst_fast.networks.torch_any_size import AnySizeNetwork
    from nst_fast.networks.torch_network import network_from_checkpoint
    from nst_fast.stylize.styles import open_style

    return AnySizeNetwork(network_from_checkpoint(open_style(style)), pixels=False).eval()
