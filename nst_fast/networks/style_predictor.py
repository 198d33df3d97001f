"""The predictor: from the features of a style image to the steering of the base network, in NumPy.

Ghiasi et al. 2017 (arXiv 1705.06830) predict the scales and shifts of a style from the style image. Here a narrow code
lies between: features are standardized, pass two layers into the code, and one more to what is added to the steering of
the base network. See `torch_style_predictor` for its training.
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import safetensors
import safetensors.numpy

from nst_fast.files.atomic import replace_atomically
from nst_fast.networks.checkpoint_header import damaged
from nst_fast.networks.description import STRENGTHS
from nst_fast.networks.style_features import FEATURES

# Added to features before their logarithm.
LEAST_FEATURE = 1e-3
_BASE_KEY = "nst_fast_base"


@dataclasses.dataclass(frozen=True)
class StylePredictor:
    """The weights, and the base network that they belong to.

    Attributes:
        weights: by the names of `torch_style_predictor.StylePredictor`.
        base: `Checkpoint.shared_digest` of the base network.
    """

    weights: Mapping[str, np.ndarray]
    base: str

    def predict(self, features: np.ndarray) -> np.ndarray:
        """What to add to the base network's steering: (strengths, 2, steering channels), float32.

        Args:
            features: (FEATURES,), float32, from `build_style_features_graph`.
        """
        weights = self.weights
        spread = np.log(np.maximum(features, 0) + LEAST_FEATURE)
        hidden = (spread - weights["feature_mean"]) / weights["feature_deviation"]
        hidden = weights["to_hidden.weight"] @ hidden + weights["to_hidden.bias"]
        hidden = hidden / (1 + np.exp(-np.maximum(hidden, -80)))  # below that, float32 would overflow
        code = weights["to_code.weight"] @ hidden + weights["to_code.bias"]
        code = code / np.sqrt(1 + np.mean(code**2))
        steering = weights["to_steering.weight"] @ code + weights["to_steering.bias"]
        return steering.reshape(len(STRENGTHS), 2, -1).astype(np.float32)


def save_predictor(path: Path, predictor: StylePredictor) -> None:
    """Write a predictor atomically, in fp16.

    Raises:
        OutputError: the file cannot be written.
    """
    tensors = {name: np.ascontiguousarray(weight, np.float16) for name, weight in predictor.weights.items()}
    data = safetensors.numpy.save(tensors, {_BASE_KEY: predictor.base})
    with replace_atomically(path) as temporary:
        temporary.write_bytes(data)


def load_predictor(path: Path) -> StylePredictor:
    """Read a predictor.

    Raises:
        CheckpointError: missing, damaged, or no predictor.
    """
    try:
        with safetensors.safe_open(path, framework="np") as file:
            base = (file.metadata() or {})[_BASE_KEY]
            weights = {name: file.get_tensor(name).astype(np.float32) for name in file.keys()}  # noqa: SIM118
        if weights["to_hidden.weight"].shape[1] != FEATURES or not all(np.isfinite(w).all() for w in weights.values()):
            raise ValueError("weights of another size, or that are not numbers")
    except (OSError, KeyError, ValueError, IndexError, safetensors.SafetensorError) as error:
        raise damaged(path, error) from error
    return StylePredictor(weights, base)
