"""nst_fast in ComfyUI: nodes that stylize images, read a style off an image, and train a style."""

from pathlib import Path

import folder_paths
from comfy_api.latest import ComfyExtension, io

from .stylize_nodes import STYLES_FOLDER, StyleFromImage, Stylize
from .train_node import TrainStyle

folder_paths.add_model_folder_path(STYLES_FOLDER, str(Path(folder_paths.models_dir, STYLES_FOLDER)))


class NstFastExtension(ComfyExtension):
    """The nodes of this package."""

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        """The classes of the nodes, in the order of the menu."""
        return [Stylize, StyleFromImage, TrainStyle]


async def comfy_entrypoint() -> ComfyExtension:
    """What ComfyUI calls when it loads the package."""
    return NstFastExtension()
