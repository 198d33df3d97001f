import dataclasses
import math

import pytest
import torch
import torchvision
from torch import Tensor, nn

from nst_fast.errors import ImageError, SettingError
from nst_fast.loss_networks.network import (
    INPUT_NORMALIZATIONS,
    LossNetwork,
    adapt_taps,
    check_taps,
    list_convolutions,
    nearest_taps,
)
from nst_fast.losses.settings import LossSettings

ARCHITECTURES = ("vgg16", "vgg19")
DEEPEST = {"vgg16": "relu5_3", "vgg19": "relu5_4"}

# Where other programs find the taps of the literature in torchvision's `features` (each number is that of a ReLU).
KNOWN_RELUS = {
    "vgg16": {"relu1_2": 3, "relu2_2": 8, "relu3_3": 15, "relu4_3": 22, "relu5_3": 29},
    "vgg19": {"relu1_1": 1, "relu2_1": 6, "relu3_1": 11, "relu4_1": 20, "relu4_2": 22, "relu5_1": 29},
}


def build_torchvision_features(architecture: str, pooling: str = "max") -> nn.Sequential:
    """torchvision's own convolutional part with seeded random weights; its classifier takes no memory."""
    with torch.device("meta"):
        features = getattr(torchvision.models, architecture)(weights=None).features
    features.to_empty(device="cpu")
    generator = torch.Generator().manual_seed(0)
    for number, module in enumerate(features):
        if isinstance(module, nn.Conv2d):
            scale = math.sqrt(2 / (9 * module.in_channels))
            module.weight.data.normal_(0, scale, generator=generator)
            module.bias.data.normal_(0, 0.1, generator=generator)
        elif isinstance(module, nn.ReLU):
            module.inplace = False
        elif isinstance(module, nn.MaxPool2d) and pooling == "average":
            features[number] = nn.AvgPool2d(2, 2)
    return features.requires_grad_(False)


def name_relus(features: nn.Sequential) -> dict[str, int]:
    """The literature's names of torchvision's ReLUs: the block, counted by poolings, then the position in it."""
    names, block, position = {}, 1, 1
    for number, module in enumerate(features):
        if isinstance(module, nn.ReLU):
            names[f"relu{block}_{position}"] = number
            position += 1
        elif isinstance(module, nn.MaxPool2d | nn.AvgPool2d):
            block, position = block + 1, 1
    return names


def build_twin(features: nn.Sequential, architecture: str, **arguments: str) -> LossNetwork:
    """Our network with the weights of `features`, matched only by their order."""
    network = LossNetwork(architecture, [DEEPEST[architecture]], **arguments)
    theirs = [module for module in features if isinstance(module, nn.Conv2d)]
    for ours, original in zip(network.layers, theirs, strict=True):
        ours.load_state_dict(original.state_dict())
    return network


def count_runs(network: LossNetwork) -> list[int]:
    """For each layer how often it has run since this call; the list keeps counting."""
    runs = [0] * len(network.layers)

    def count(number: int) -> None:
        runs[number] += 1

    for number, layer in enumerate(network.layers):
        layer.register_forward_hook(lambda *_, number=number: count(number))
    return runs


def random_image(height: int, width: int, batch: int = 1) -> Tensor:
    return torch.rand(batch, 3, height, width, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("pooling", ["max", "average"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_tap_is_that_of_torchvision(architecture, pooling):
    """At every tap the activations are those of torchvision's network after its own normalization of the input."""
    features = build_torchvision_features(architecture, pooling)
    network = build_twin(features, architecture, pooling=pooling)
    image = random_image(35, 50, batch=2)
    ours = network(image, network.taps)

    relus = name_relus(features)
    assert list(relus) == network.taps == list(ours)
    hidden = torchvision.transforms.functional.normalize(image, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    for number, module in enumerate(features):
        hidden = module(hidden)
        for tap in (tap for tap, place in relus.items() if place == number):
            assert ours[tap].shape == hidden.shape
            torch.testing.assert_close(ours[tap], hidden, rtol=1e-5, atol=1e-5)
            assert hidden.std() > 0.1, "the activations died out, so that the comparison says nothing"


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_places_are_those_of_the_literature(architecture):
    """The index of a convolution in `features` is one less than that of the ReLU with this name."""
    places = {convolution.tap: convolution.features_index for convolution in list_convolutions(architecture)}
    assert {tap: places[tap] + 1 for tap in KNOWN_RELUS[architecture]} == KNOWN_RELUS[architecture]


def test_caffe_input_is_that_of_torchvisions_release():
    """The `caffe` input is what torchvision's release of those weights needs: 0..255, with only the mean subtracted."""
    transforms = torchvision.models.VGG16_Weights.IMAGENET1K_FEATURES.transforms()
    mean, deviation = INPUT_NORMALIZATIONS["caffe"]
    assert mean == tuple(transforms.mean)
    assert deviation == pytest.approx(tuple(transforms.std), rel=1e-6)
    image = random_image(8, 8)
    network = LossNetwork("vgg16", ["relu1_1"], input_normalization="caffe")
    nn.init.dirac_(network.layers[0].weight)
    nn.init.zeros_(network.layers[0].bias)
    expected = (image * 255 - torch.tensor(mean).view(1, 3, 1, 1) * 255).relu()
    torch.testing.assert_close(network(image, ["relu1_1"])["relu1_1"][:, :3], expected, rtol=1e-4, atol=1e-3)


def test_nothing_deeper_is_built():
    """A network ends after the deepest tap it is built for."""
    network = LossNetwork("vgg19", ["relu1_2", "relu3_1", "relu2_2"])
    assert network.taps == ["relu1_1", "relu1_2", "relu2_1", "relu2_2", "relu3_1"]
    assert len(network.layers) == 5


@pytest.mark.parametrize(("asked", "layers"), [(["relu1_1"], 1), (["relu2_1", "relu1_2"], 3), (["relu3_2"], 6)])
def test_nothing_deeper_is_computed(asked, layers):
    """A pass runs each layer once, down to the deepest tap asked for, and no other."""
    network = LossNetwork("vgg16", ["relu3_3"])
    runs = count_runs(network)
    activations = network(random_image(16, 16), asked)
    assert sorted(activations) == sorted(asked)
    assert runs == [1] * layers + [0] * (7 - layers)


def test_gradients_reach_the_image_only():
    """The weights get no gradients, also in training mode, while the image does."""
    network = build_twin(build_torchvision_features("vgg16"), "vgg16").train()
    image = random_image(20, 20).requires_grad_()
    sum(activations.sum() for activations in network(image, ["relu1_1", "relu3_1"]).values()).backward()
    assert image.grad is not None and image.grad.abs().min() > 0
    assert all(weight.grad is None and not weight.requires_grad for weight in network.parameters())


def test_gradient_is_that_of_torchvision():
    """The gradient through all layers is torchvision's, although ours overwrites the inputs of its ReLUs."""
    features = build_torchvision_features("vgg16").double()
    network = build_twin(features, "vgg16").double()
    gradients = []
    for run in (lambda x: network(x, ["relu5_3"])["relu5_3"], lambda x: run_features(features, x)):
        image = random_image(24, 24).double().requires_grad_()
        run(image).square().sum().backward()
        gradients.append(image.grad)
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-6, atol=1e-8)


def run_features(features: nn.Sequential, image: Tensor) -> Tensor:
    mean = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
    deviation = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
    return features[:30]((image - mean) / deviation)


@pytest.mark.parametrize(("tap", "least"), [("relu1_2", 1), ("relu2_1", 2), ("relu4_1", 8), ("relu5_1", 16)])
def test_picture_too_small(tap, least):
    """A side as long as the tap's stride is enough; one pixel less is an error with both sizes."""
    network = LossNetwork("vgg19", ["relu5_1"])
    assert network(torch.rand(1, 3, least, 40), [tap])[tap].shape[2:] == (1, 40 // least)
    with pytest.raises(ImageError) as caught:
        network(torch.rand(1, 3, 40, least - 1), [tap])
    assert str(caught.value) == (
        f"an image of {least - 1} x 40 pixels is too small for the deepest tap asked for; "
        f"each side must be at least {least} pixels"
    )


def test_unknown_architecture():
    """The error for an unknown loss network lists those that exist, and the nearest."""
    with pytest.raises(SettingError) as caught:
        LossNetwork("vgg-19", ["relu1_1"])
    assert str(caught.value) == "loss network 'vgg-19' is unknown; allowed: vgg16, vgg19, compact (nearest: vgg19)"


def test_unknown_tap():
    """The error for an unknown tap, or for no tap, lists all taps, and the nearest."""
    every = (
        "relu1_1, relu1_2, relu2_1, relu2_2, relu3_1, relu3_2, relu3_3, relu4_1, relu4_2, relu4_3, "
        "relu5_1, relu5_2, relu5_3"
    )
    with pytest.raises(SettingError) as caught:
        LossNetwork("vgg16", ["relu1_1", "conv3_3"])
    assert str(caught.value) == f"tap 'conv3_3' does not exist in vgg16; allowed: {every}"
    with pytest.raises(SettingError, match=r"tap 'relu33' does not exist in vgg16; .* \(nearest: relu3_3\)"):
        LossNetwork("vgg16", ["relu33"])
    with pytest.raises(SettingError, match="tap 'relu3_4' does not exist in vgg16"):
        LossNetwork("vgg16", ["relu3_4"])
    assert LossNetwork("vgg19", ["relu3_4"]).taps[-1] == "relu3_4"
    with pytest.raises(SettingError) as caught:
        LossNetwork("vgg16", [])
    assert str(caught.value) == f"no tap of vgg16 was given; allowed: {every}"


def test_tap_that_was_cut_off():
    """A tap deeper than the network was built for is an error that lists what it has."""
    with pytest.raises(SettingError) as caught:
        LossNetwork("vgg16", ["relu1_2"])(random_image(16, 16), ["relu2_1", "relu1_1"])
    assert str(caught.value) == "tap 'relu2_1' was not built; this loss network has relu1_1, relu1_2"


def test_unknown_pooling_and_input_normalization():
    """The errors for an unknown pooling and an unknown input normalization list the allowed ones."""
    with pytest.raises(SettingError) as caught:
        LossNetwork("vgg16", ["relu1_1"], pooling="mean")
    assert str(caught.value) == "pooling 'mean' is unknown; allowed: max, average"
    with pytest.raises(SettingError) as caught:
        LossNetwork("vgg16", ["relu1_1"], input_normalization="keras")
    assert str(caught.value) == "input_normalization 'keras' is unknown; allowed: imagenet, caffe"


def test_nearest_taps():
    """A tap that only compact lacks counts at compact's deepest tap of the same block; all others stay as they are."""
    taps = {"relu3_2": 1.0, "relu4_2": 0.5, "relu4_1": 2.0}
    assert nearest_taps("compact", taps) == {"relu3_2": 1.0, "relu4_1": 2.5}
    assert nearest_taps("vgg19", taps) == nearest_taps("vgg16", taps) == taps
    # No block of compact is near these, and the last is a tap of no network: they are refused where they are used.
    assert nearest_taps("compact", {"relu5_1": 1.0, "relu9_1": 1.0}) == {"relu5_1": 1.0, "relu9_1": 1.0}
    with pytest.raises(SettingError, match="tap 'relu5_1' does not exist in compact"):
        check_taps("compact", nearest_taps("compact", {"relu5_1": 1.0}))


def test_adapted_settings_differ_in_taps_alone():
    """The settings of a loss keep everything but the taps that compact lacks."""
    settings = LossSettings(style_strength=3.0, style_taps={"relu1_1": 1.0, "relu1_2": 1.0})
    adapted = adapt_taps(settings, "compact")
    assert adapted == dataclasses.replace(
        settings, content_taps={"relu3_2": 1.0, "relu4_1": 1.0}, style_taps={"relu1_1": 2.0}
    )
    check_taps("compact", [*adapted.content_taps, *adapted.style_taps])
    assert adapt_taps(settings, "vgg19") == settings
