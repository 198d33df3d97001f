"""A small network in a Stylizer, by every engine that is installed."""

import pytest
import torch

from nst_fast.networks.checkpoint import Checkpoint
from nst_fast.networks.torch_network import build_network, checkpoint_from_network
from nst_fast.stylize.engines.choice import list_engines
from nst_fast.stylize.stylizer import Stylizer


def build_checkpoint() -> Checkpoint:
    torch.manual_seed(0)
    return checkpoint_from_network(build_network("realtime", width=4))


@pytest.fixture(scope="module", params=[name for name in list_engines("cpu") if name != "compile"])
def stylizer(request: pytest.FixtureRequest) -> Stylizer:
    """Stylizes by each engine in turn."""
    return Stylizer(build_checkpoint(), device="cpu", engine=request.param)


@pytest.fixture(scope="module")
def torch_stylizer() -> Stylizer:
    """The same network by PyTorch."""
    return Stylizer(build_checkpoint(), device="cpu", engine="torch")
