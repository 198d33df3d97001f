"""As much of ComfyUI as the node package touches, with the same names, parameters and checks.

ComfyUI cannot be installed as a package, so this stands in for `comfy_api.latest` (the V3 interface), `comfy.utils`,
`comfy.model_management` and `folder_paths`. Every parameter list has only names that ComfyUI has too, so a node that
passes another one fails here as it would there.
"""

import sys
import types
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any


class NumberDisplay(StrEnum):
    number = "number"
    slider = "slider"


class Input:
    io_type = ""

    def __init__(self, id, display_name=None, optional=False, tooltip=None, lazy=None, extra_dict=None):
        self.id, self.optional, self.default = id, optional, None


class WidgetInput(Input):
    def __init__(self, id, display_name=None, optional=False, tooltip=None, lazy=None, default=None, socketless=None):
        super().__init__(id, display_name, optional, tooltip, lazy)
        self.default = default


class NumberInput(WidgetInput):
    def __init__(
        self, id, display_name=None, optional=False, tooltip=None, lazy=None,
        default=None, min=None, max=None, step=None, round=None, display_mode=None,
    ):  # fmt: skip
        super().__init__(id, display_name, optional, tooltip, lazy, default)
        assert display_mode is None or isinstance(display_mode, NumberDisplay)
        assert min <= default <= max
        self.min, self.max = min, max


class StringInput(WidgetInput):
    def __init__(
        self, id, display_name=None, optional=False, tooltip=None, lazy=None,
        multiline=False, placeholder=None, default=None, dynamic_prompts=None,
    ):  # fmt: skip
        super().__init__(id, display_name, optional, tooltip, lazy, default)


class ComboInput(WidgetInput):
    def __init__(self, id, options=None, display_name=None, optional=False, tooltip=None, lazy=None, default=None):
        super().__init__(id, display_name, optional, tooltip, lazy, default)
        assert default is None or default in options
        self.options = options


class Output:
    io_type = ""

    def __init__(self, id=None, display_name=None, tooltip=None, is_output_list=False):
        self.id, self.display_name = id, display_name


def _type(io_type: str, input_class: type = Input) -> Any:
    return types.SimpleNamespace(
        Input=type("Input", (input_class,), {"io_type": io_type}),
        Output=type("Output", (Output,), {"io_type": io_type}),
    )


@dataclass
class Schema:
    node_id: str
    display_name: str | None = None
    category: str = "sd"
    inputs: list[Input] = field(default_factory=list)
    outputs: list[Output] = field(default_factory=list)
    hidden: list = field(default_factory=list)
    description: str = ""
    is_output_node: bool = False


class NodeOutput:
    def __init__(self, *args, ui=None, expand=None, block_execution=None):
        self.args = args


class ComfyNode:
    @classmethod
    def define_schema(cls) -> Schema:
        raise NotImplementedError


class ComfyExtension:
    async def get_node_list(self) -> list[type[ComfyNode]]:
        raise NotImplementedError


class InterruptProcessingException(BaseException):
    """As in ComfyUI, no `Exception`."""


class Host:
    """ComfyUI as the nodes see it: what they report, whether the user has interrupted them, the folder of models."""

    def __init__(self, folder: Path) -> None:
        self.progress: list[tuple[int, int, Any]] = []
        self.interrupt_at: int | None = None  # of the progress reports
        self.models = folder
        self.styles: Path | None = None

    def install(self, monkeypatch) -> None:
        """Make the modules importable for one test."""
        io = types.SimpleNamespace(
            Image=_type("IMAGE"), Mask=_type("MASK"), Float=_type("FLOAT", NumberInput),
            String=_type("STRING", StringInput), Combo=_type("COMBO", ComboInput), Custom=_type,
            Schema=Schema, NodeOutput=NodeOutput, ComfyNode=ComfyNode, NumberDisplay=NumberDisplay,
        )  # fmt: skip
        contents = {
            "comfy": {},
            "comfy.utils": {"ProgressBar": lambda total: _ProgressBar(self, total)},
            "comfy.model_management": {
                "throw_exception_if_processing_interrupted": self.throw_if_interrupted,
                "unload_all_models": lambda: None,
            },
            "comfy_api": {},
            "comfy_api.latest": {"io": io, "ComfyExtension": ComfyExtension},
            "folder_paths": {
                "models_dir": str(self.models),
                "add_model_folder_path": self.add_model_folder_path,
                "get_filename_list": self.get_filename_list,
                "get_full_path_or_raise": self.get_full_path_or_raise,
            },
        }
        for name, names in contents.items():
            module = types.ModuleType(name)
            vars(module).update(names)
            monkeypatch.setitem(sys.modules, name, module)
            parent, _, child = name.rpartition(".")
            if parent:
                setattr(sys.modules[parent], child, module)

    def throw_if_interrupted(self) -> None:
        if self.interrupt_at is not None and len(self.progress) > self.interrupt_at:
            self.interrupt_at = None
            raise InterruptProcessingException

    def add_model_folder_path(self, folder_name: str, full_folder_path: str, is_default: bool = False) -> None:
        assert folder_name == "nst_fast"
        self.styles = Path(full_folder_path)

    def get_filename_list(self, folder_name: str) -> list[str]:
        assert self.styles is not None
        return sorted(str(path.relative_to(self.styles)) for path in self.styles.rglob("*") if path.is_file())

    def get_full_path_or_raise(self, folder_name: str, filename: str) -> str:
        assert self.styles is not None
        if not (self.styles / filename).is_file():
            raise FileNotFoundError(filename)
        return str(self.styles / filename)


class _ProgressBar:
    def __init__(self, host: Host, total: int) -> None:
        self._host, self._total, self._value = host, total, 0

    def update(self, value: int) -> None:
        self.update_absolute(self._value + value)

    def update_absolute(self, value: int, total: int | None = None, preview: Any = None) -> None:
        self._value = value
        self._host.progress.append((value, total or self._total, preview))
