"""The compact loss network: the metric of its taps, and the file that ships with nst-fast."""

import pytest
import safetensors.torch
import torch

from nst_fast.data.images import load_image
from nst_fast.errors import SettingError, WeightsError
from nst_fast.loss_networks.network import LossNetwork, list_taps
from nst_fast.loss_networks.weights import build_loss_network
from nst_fast.losses.style import gram_matrix

TAPS = ["relu1_1", "relu2_1", "relu3_1", "relu3_2", "relu4_1"]


def random_images(count: int) -> torch.Tensor:
    return torch.rand(count, 3, 32, 40, generator=torch.Generator().manual_seed(count))


def test_taps_have_the_strides_of_vgg():
    """Each tap has the name and the size of VGG's, but fewer channels."""
    assert list_taps("compact") == TAPS
    compact = LossNetwork("compact", TAPS)(random_images(1), TAPS)
    vgg = LossNetwork("vgg19", TAPS)(random_images(1), TAPS)
    for tap in TAPS:
        assert compact[tap].shape[2:] == vgg[tap].shape[2:]
        assert compact[tap].shape[1] < vgg[tap].shape[1]


@pytest.mark.parametrize("tap", TAPS)
def test_the_metric_is_that_of_the_projection(tap):
    """With R of P = QR as its metric, distances between taps and between Gram matrices are those of P s."""
    network = build_loss_network("compact", taps=TAPS, weights="random").double()
    images = random_images(2).double()
    plain = network.activate(images, [tap])[tap]
    channels = plain.shape[1]
    projection = torch.randn(3 * channels, channels, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    network.metrics[tap].weight.copy_(torch.linalg.qr(projection, mode="r").R[:, :, None, None])
    predicted = torch.einsum("vc,bchw->bvhw", projection, plain)
    emitted = network(images, [tap])[tap]
    assert emitted.shape == plain.shape
    torch.testing.assert_close((emitted[0] - emitted[1]).square().sum(), (predicted[0] - predicted[1]).square().sum())
    own, wanted = (gram_matrix(features) for features in (emitted, predicted))
    torch.testing.assert_close((own[0] - own[1]).square().sum(), (wanted[0] - wanted[1]).square().sum())
    torch.testing.assert_close(own.square().sum(), wanted.square().sum())


def test_the_shipped_file_has_everything():
    """The weights `shipped` are complete and finite, and all taps differ between two images."""
    network = build_loss_network("compact", taps=TAPS, weights="shipped")
    assert network.weights_name == "compact.safetensors"
    for features in network(random_images(2), TAPS).values():
        assert features.isfinite().all()
        assert (features[0] - features[1]).abs().max() > 0


def test_the_shipped_file_judges_as_vgg_does(shared_folder):
    """Distances between photos, and between their Gram matrices, go with those of VGG-19: correlation above 0.85."""
    files = sorted((shared_folder / "data" / "photos").glob("*.jpg"))[::120]
    photos = torch.stack([load_image(file, short_side=96)[:, :96, :96] for file in files])
    weights = shared_folder / "data" / "weights" / "vgg19_conv5_1.safetensors"
    networks = [
        build_loss_network("compact", taps=TAPS, weights="shipped"),
        build_loss_network("vgg19", taps=TAPS, weights=weights),
    ]
    first, second = torch.triu_indices(len(photos), len(photos), 1)
    for tap in TAPS:
        for measure in (lambda features: features, gram_matrix):
            distances = []
            for network in networks:
                measured = measure(network(photos, [tap])[tap]).flatten(1)
                distances.append((measured[first] - measured[second]).square().sum(1))
            assert torch.corrcoef(torch.stack(distances).log())[0, 1] > 0.85


def test_errors(tmp_path):
    """The errors for what only the other networks have, or only this one, list what is allowed."""
    with pytest.raises(SettingError, match="tap 'relu2_2' does not exist in compact; allowed: relu1_1, relu2_1"):
        build_loss_network("compact", taps=["relu2_2"], weights="shipped")
    with pytest.raises(
        SettingError, match=r"weights .imagenet. of loss network compact do not exist; they do for vgg16, vgg19"
    ):
        build_loss_network("compact", taps=TAPS, weights="imagenet")
    with pytest.raises(
        SettingError, match=r"weights .shipped. of loss network vgg16 do not exist; they do for compact"
    ):
        build_loss_network("vgg16", taps=TAPS, weights="shipped")
    state = build_loss_network("compact", taps=TAPS, weights="random").state_dict()
    named = {}
    for key, value in state.items():
        kind, number, name = key.split(".") if key.startswith("layers") else (None, None, None)
        named[f"features.{[0, 3, 5, 8, 10, 12, 15, 17, 19][int(number)]}.{name}" if kind else key] = value
    whole, damaged = tmp_path / "whole.safetensors", tmp_path / "damaged.safetensors"
    safetensors.torch.save_file(named, whole)
    build_loss_network("compact", taps=TAPS, weights=whole)
    del named["metrics.relu3_1.weight"]
    safetensors.torch.save_file(named, damaged)
    with pytest.raises(WeightsError, match=r"lacks metrics\.relu3_1\.weight, which compact needs for relu3_1"):
        build_loss_network("compact", taps=TAPS, weights=damaged)
