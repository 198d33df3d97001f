"""Where a loss network's weights come from: torchvision's download, a shipped file, your file, or a random draw."""

import dataclasses
import http.client
import logging
import os
import pickle
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn

from nst_fast.errors import SettingError, WeightsError
from nst_fast.files.shipped import compact_loss_network
from nst_fast.loss_networks.network import LossNetwork
from nst_fast.settings.networks import LossNetworkSettings

_log = logging.getLogger(__name__)

# Each may name a file in torchvision's format, which is then used in place of a download.
WEIGHT_VARIABLES = {"vgg16": "NST_FAST_VGG16_WEIGHTS", "vgg19": "NST_FAST_VGG19_WEIGHTS"}
# The words that `weights` may be, besides the path of a file.
IMAGENET_RELEASES = {
    "imagenet": {"vgg16": "IMAGENET1K_V1", "vgg19": "IMAGENET1K_V1"},
    # The original Caffe weights; torchvision has them for VGG-16 only.
    "imagenet_features": {"vgg16": "IMAGENET1K_FEATURES"},
}
WEIGHT_WORDS = (*IMAGENET_RELEASES, "shipped", "random")


def build_loss_network(
    name: str = "vgg19",
    *,
    taps: list[str],
    weights: str | Path = "imagenet",
    pooling: str = "max",
    input_normalization: str | None = None,
    seed: int = 0,
) -> LossNetwork:
    """A loss network with its weights loaded, on the CPU, in float32.

    Args:
        name: `vgg16`, `vgg19`, or `compact`, the small substitute for VGG-19 that ships with nst-fast.
        taps: the taps you will ask for; the network ends after the deepest.
        weights: `imagenet` (torchvision's IMAGENET1K_V1, downloaded once), `imagenet_features` (VGG-16 only: the
            original Caffe weights as torchvision has them), `shipped` (`compact` only), `random` (seeded; He et al.
            2016, arXiv 1606.04801), or the path of a torchvision-format `.pth` or `.safetensors` file, which may end
            at the deepest tap. A file named in WEIGHT_VARIABLES replaces a download.
        pooling: `max` or `average`.
        input_normalization: `imagenet` or `caffe` (colors in 0..255); None: that of the release, and `imagenet` for a
            file.
        seed: of the random weights.

    Raises:
        SettingError: unknown name, tap or pooling, or a release that does not exist for this network.
        WeightsError: no file, a file that lacks a needed layer or does not fit, or no internet.
    """
    word = find_weights(name, str(weights))
    if input_normalization is None:
        input_normalization = "caffe" if word == "imagenet_features" else "imagenet"
    network = LossNetwork(name, taps, pooling, input_normalization)
    if word in IMAGENET_RELEASES:
        _load_release(network, word)
    elif word == "shipped":
        _load_file(network, _find_shipped(name))
    elif word == "random":
        _draw_random_weights(network, seed)
    else:
        _load_file(network, Path(os.path.expanduser(word)))
    return network


def load_loss_network(
    settings: LossNetworkSettings, taps: Iterable[str], *, seed: int, device: torch.device
) -> LossNetwork:
    """The loss network of the settings, on the device. Torch's random state stays as it is.

    Raises:
        SettingError, WeightsError: see `build_loss_network`.
    """
    with torch.random.fork_rng(devices=[]):  # layers draw weights before they are given theirs
        loss_network = build_loss_network(
            settings.name,
            taps=list(taps),
            weights=settings.weights,
            pooling=settings.pooling,
            input_normalization=settings.input_normalization,
            seed=seed,
        )
    return loss_network.to(device)


def choose_loss_network(settings: LossNetworkSettings) -> LossNetworkSettings:
    """The settings with nothing left to decide: `auto` is replaced by a name, and a download by the file to use.

    `auto` is VGG-19 if its weights are available, as a file or by torchvision's download. Else it is the compact loss
    network, and a log message says so.

    Raises:
        SettingError: weights that are not those of a VGG.
    """
    if settings.name != "auto":
        return dataclasses.replace(settings, weights=find_weights(settings.name, settings.weights))
    settings = dataclasses.replace(settings, name="vgg19", weights=find_weights("vgg19", settings.weights))
    if settings.weights != "imagenet":
        return settings
    try:
        load_loss_network(LossNetworkSettings(name="vgg19"), ["relu1_1"], seed=0, device=torch.device("cpu"))
    except WeightsError:
        _log.warning(
            "no VGG-19 weights available: training with the compact loss network that ships with nst-fast (set "
            "loss_network.weights to a file with the weights of VGG-19 in torchvision's format)"
        )
        return dataclasses.replace(settings, name="compact", weights="shipped")
    return settings


def find_weights(name: str, weights: str) -> str:
    """`weights`, or the file to use in place of that download: the one that the environment variable names."""
    variable = WEIGHT_VARIABLES.get(name, "")
    return os.environ.get(variable, weights) if weights in IMAGENET_RELEASES else weights


def _find_shipped(name: str) -> Path:
    if name != "compact":
        raise SettingError(f"weights 'shipped' of loss network {name} do not exist; they do for compact")
    file = compact_loss_network()
    if os.path.isfile(file):
        return file
    raise WeightsError(
        f"{Path(*file.parts[-3:])} is missing from this installation; install nst-fast again, or choose "
        f"loss_network vgg19"
    )


def _load_release(network: LossNetwork, word: str) -> None:
    # torchvision is slow to import and only needed here.
    from torchvision.models import get_model_weights

    releases = IMAGENET_RELEASES[word]
    if network.architecture not in releases:
        raise SettingError(
            f"weights {word!r} of loss network {network.architecture} do not exist; they do for {', '.join(releases)}"
        )
    release = get_model_weights(network.architecture)[releases[network.architecture]]
    try:
        state = release.get_state_dict(progress=True, check_hash=True, map_location="cpu", weights_only=True)
    except (OSError, http.client.HTTPException, RuntimeError, pickle.UnpicklingError, EOFError) as error:
        raise WeightsError(
            f"the weights of {network.architecture} could not be downloaded ({_one_line(error)}); connect to the "
            f"internet once, set loss_network.weights to a file (torchvision-format .pth or .safetensors), or choose "
            f"loss_network compact, which ships with nst-fast"
        ) from error
    _fill(network, state, f"torchvision's {release}")
    network.weights_name = f"torchvision {release.name}"


def _load_file(network: LossNetwork, path: Path) -> None:
    if not os.path.isfile(path):  # unlike Path.is_file, it takes names that are too long for the system
        raise WeightsError(
            f"loss network weights {str(path)!r} are not a file; give a torchvision-format .pth or .safetensors file, "
            f"or one of the words {', '.join(WEIGHT_WORDS)}"
        )
    try:
        if path.suffix == ".safetensors":
            state = safetensors.torch.load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise WeightsError(
            f"loss network weights {str(path)!r} hold more than tensors, or are damaged, and were not executed; "
            f"give a whole torchvision-format .pth (a bare state_dict) or .safetensors file"
        ) from error
    except Exception as error:  # a damaged pickle makes torch.load raise nearly anything, such as KeyError
        raise WeightsError(
            f"loss network weights {str(path)!r} cannot be read ({_one_line(error)}); "
            f"give a whole torchvision-format .pth or .safetensors file"
        ) from error
    if not isinstance(state, dict):
        raise WeightsError(f"loss network weights {str(path)!r} hold no state_dict but a {type(state).__name__}")
    _fill(network, state, repr(str(path)))
    network.weights_name = path.name


def list_parameters(network: LossNetwork) -> dict[str, tuple[str | None, Tensor]]:
    """Every parameter by its name in a file of torchvision's format, with the tap that it belongs to."""
    parameters = {
        f"features.{convolution.features_index}.{kind}": (convolution.tap, getattr(layer, kind))
        for convolution, layer in zip(network.convolutions, network.layers, strict=True)
        for kind in ("weight", "bias")
    }
    return parameters | {f"metrics.{tap}.weight": (tap, metric.weight) for tap, metric in network.metrics.items()}


def _fill(network: LossNetwork, state: dict[str, Any], source: str) -> None:
    """Copy the tensors that `network` needs out of a torchvision-format state_dict; deeper layers are left alone."""
    for key, (tap, parameter) in list_parameters(network).items():
        if key not in state:
            raise WeightsError(
                f"{source} lacks {key}, which {network.architecture} needs for {tap or network.taps[-1]}; "
                f"give a file that reaches {network.taps[-1]}, or ask for shallower taps"
            )
        value = state[key]
        if not isinstance(value, Tensor):
            raise WeightsError(f"{source} has a {type(value).__name__} as {key}, not a tensor; get the file again")
        if value.shape != parameter.shape:
            raise WeightsError(
                f"{source} has {key} of shape {tuple(value.shape)}, {network.architecture} needs "
                f"{tuple(parameter.shape)}; give the weights of {network.architecture}"
            )
        with torch.no_grad():
            parameter.copy_(value)
        if not torch.isfinite(parameter).all():
            raise WeightsError(f"{source} has values in {key} that are not finite; get the file again")


def _draw_random_weights(network: LossNetwork, seed: int) -> None:
    """He et al. 2015 initialization, seeded: activations keep their scale through the ReLUs."""
    generator = torch.Generator().manual_seed(seed)
    # From shallow to deep, so that a tap's activations do not depend on which deeper taps were asked for.
    for layer in network.layers:
        assert isinstance(layer, nn.Conv2d) and layer.bias is not None
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu", generator=generator)
        nn.init.zeros_(layer.bias)
    for metric in network.metrics.values():
        assert isinstance(metric, nn.Conv2d)
        nn.init.dirac_(metric.weight)  # the activations as they are
    network.weights_name = f"random, seed {seed}"


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
