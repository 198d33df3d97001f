"""The predictor in PyTorch: from a style image to the steering of the base network (Ghiasi et al. 2017, 1705.06830)."""

import torch
from torch import Tensor, nn

from nst_fast.networks.description import STRENGTHS
from nst_fast.networks.style_features import FEATURE_CHANNELS, FEATURES
from nst_fast.networks.style_predictor import LEAST_FEATURE


class StylePredictor(nn.Module):
    """A small network from the features of a style image to scales and shifts, through a narrow code.

    Features are first and second moments of activations, so those of two images side by side are the mean of theirs.
    Their logarithms are standardized by what training saw. The code is narrow and bounded: with few style images to
    learn from, a wide one goes wild on others.

    Args:
        steering_channels: of the base network.
        code_size: numbers in a code.
        hidden_size: numbers in the layer before.
    """

    feature_mean: Tensor
    feature_deviation: Tensor

    def __init__(self, steering_channels: int, code_size: int = 64, hidden_size: int = 256) -> None:
        super().__init__()
        self.steering_channels = steering_channels
        self.register_buffer("feature_mean", torch.zeros(FEATURES))
        self.register_buffer("feature_deviation", torch.ones(FEATURES))
        self.to_hidden = nn.Linear(FEATURES, hidden_size)
        self.to_code = nn.Linear(hidden_size, code_size)
        self.to_steering = nn.Linear(code_size, len(STRENGTHS) * 2 * steering_channels)
        nn.init.normal_(self.to_steering.weight, std=0.02)
        nn.init.zeros_(self.to_steering.bias)

    def standardize(self, features: Tensor) -> Tensor:
        """Features (B, N), from `measure_style_features`, on a scale on which each has a deviation of about 1."""
        return (_spread(features) - self.feature_mean) / self.feature_deviation

    @torch.no_grad()
    def learn_scale(self, features: Tensor) -> None:
        """Take mean and deviation of many style images' features, (B, N)."""
        spread = _spread(features)
        self.feature_mean.copy_(spread.mean(0))
        self.feature_deviation.copy_(spread.std(0).clamp(min=0.05))

    def predict_code(self, standardized: Tensor) -> Tensor:
        """(B, N) to codes (B, code size), whose root mean square is less than 1."""
        code = self.to_code(nn.functional.silu(self.to_hidden(standardized)))
        return code * torch.rsqrt(1 + code.square().mean(1, keepdim=True))

    def forward(self, standardized: Tensor) -> Tensor:
        """What to add to the steering of the base network: (B, strengths, 2, steering channels)."""
        steering = self.to_steering(self.predict_code(standardized))
        return steering.unflatten(1, (len(STRENGTHS), 2, self.steering_channels))


def _spread(features: Tensor) -> Tensor:
    return (features.clamp(min=0) + LEAST_FEATURE).log()


@torch.no_grad()
def measure_style_features(activations: dict[str, Tensor], style_images: Tensor) -> Tensor:
    """The first and second moments that the predictor reads: (B, N).

    Args:
        activations: of the compact loss network at FEATURE_CHANNELS, from `LossNetwork.activate`.
        style_images: (B, 3, H, W), RGB in [0, 1].
    """
    parts = []
    for tap in FEATURE_CHANNELS:
        flat = activations[tap].float().flatten(2)
        parts += [flat.mean(2), flat.square().mean(2).sqrt()]
    colors = style_images.flatten(2)
    products = colors @ colors.mT / colors.shape[2]
    rows, columns = torch.triu_indices(3, 3)
    parts += [colors.mean(2), products[:, rows, columns]]
    return torch.cat(parts, 1)
