"""The house of nst_fast: which room may import which, who may know the command line, how long a file may be."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "nst_fast"

# Rooms (a folder or a file of the package) from the ground up. A room imports only from the floors below its own:
# neither upwards nor sideways. Inside one room everything may import everything.
FLOORS = (
    ("errors",),
    ("atomic_files", "device", "interruption", "memory", "pixel_decoding", "progress_bar", "shipped"),
    ("event_file", "pictures", "run_state"),
    ("animations", "images"),
    ("charts", "loss_networks", "losses", "sheets", "transform_nets"),
    ("checkpoint", "data"),
    ("training", "gatys", "export"),
    ("inference",),
    ("representations", "evaluation", "live", "benchmark"),
    ("cli",),
)
FLOOR_OF = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}

# (importing room, imported room) -> why these two may be neighbours all the same.
ALLOWED_SIDEWAYS: dict[tuple[str, str], str] = {}

COMMAND_LINE = frozenset({"argparse", "hydra", "omegaconf"})
HEAVY = frozenset(
    {"av", "hydra", "onnx", "omegaconf", "onnxruntime", "openvino", "starlette", "tensorboard", "torch", "torchvision"}
)
MOST_LINES = 400


def list_files() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def find_room(path: Path) -> str:
    """The room of a file of the package: its folder right under nst_fast, or its own name."""
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def list_imports(source: str) -> list[tuple[int, str]]:
    """Every import of a source, wherever it stands, as (line, name of the module); a relative one keeps its dots."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found.append((node.lineno, "." * node.level + (node.module or "")))
    return sorted(found)


def find_faults(room: str, source: str) -> list[str]:
    """What in a source of this room breaks the rules, each as `line: what and what to do`."""
    faults = []
    for line, name in list_imports(source):
        package, _, rest = name.partition(".")
        target = rest.partition(".")[0]
        if package in COMMAND_LINE and room != "cli":
            faults.append(f"{line}: imports {package}, which only nst_fast/cli may know; take plain arguments instead")
        elif package == "":
            faults.append(f"{line}: imports {name}; write the full name, nst_fast. and so on")
        elif package != "nst_fast":
            continue
        elif target == "":
            faults.append(f"{line}: imports nst_fast itself; import from the submodule, as nst_fast.images")
        elif target not in FLOOR_OF:
            faults.append(f"{line}: imports {name}, a room without a floor; add {target} to FLOORS in this test")
        elif target == room or (room, target) in ALLOWED_SIDEWAYS:
            continue
        elif FLOOR_OF[target] >= FLOOR_OF[room]:
            way = "sideways" if FLOOR_OF[target] == FLOOR_OF[room] else "upwards"
            faults.append(f"{line}: {room} imports {way} from {target}; move what both need to a floor below")
    return faults


def test_every_module_has_a_floor() -> None:
    """A new room of the package is first given its place in the house."""
    rooms = {find_room(path) for path in list_files()} - {"__init__"}
    assert sorted(rooms - FLOOR_OF.keys()) == [], "rooms without a floor: add them to FLOORS in this test"


def test_imports_run_downwards() -> None:
    """No module imports upwards, sideways, relatively, or the package itself; only the command knows Hydra."""
    faults = [
        f"nst_fast/{path.relative_to(PACKAGE)}:{fault}"
        for path in list_files()
        if path != PACKAGE / "__init__.py" and find_room(path) in FLOOR_OF
        for fault in find_faults(find_room(path), path.read_text(encoding="utf-8"))
    ]
    assert faults == [], "\n" + "\n".join(faults)


@pytest.mark.parametrize(
    ("room", "source", "fault"),
    [
        ("losses", "from nst_fast.images import load_image", None),
        ("losses", "from nst_fast.losses.style import style_loss", None),
        ("losses", "import torch", None),
        ("cli", "import hydra", None),
        ("errors", "from nst_fast.atomic_files import replace_atomically", "upwards from atomic_files"),
        ("losses", "import nst_fast.training.loop as loop", "upwards from training"),
        (
            "losses",
            "def f():\n    from nst_fast.loss_networks.network import LossNetwork",
            "sideways from loss_networks",
        ),
        (
            "training",
            "if TYPE_CHECKING:\n    from nst_fast.export import onnx",
            "sideways from export",
        ),
        ("training", "from nst_fast import images", "imports nst_fast itself"),
        ("training", "import nst_fast", "imports nst_fast itself"),
        ("training", "from .loop import train", "imports .loop"),
        ("training", "from nst_fast.utils import tidy", "add utils to FLOORS"),
        ("training", "from omegaconf import DictConfig", "only nst_fast/cli may know"),
        ("live", "import argparse", "only nst_fast/cli may know"),
    ],
)
def test_the_rules_find_what_they_forbid(room: str, source: str, fault: str | None) -> None:
    """Each rule is broken by one example, and lets pass what is right."""
    faults = find_faults(room, source)
    assert len(faults) == (0 if fault is None else 1)
    assert fault is None or fault in faults[0]


def test_import_of_the_package_is_light() -> None:
    """`import nst_fast` in a fresh interpreter loads neither torch nor anything else that takes its time."""
    code = "import nst_fast, sys; print(*{name.partition('.')[0] for name in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "nst_fast" in loaded
    assert sorted(HEAVY & set(loaded)) == []


def test_painting_needs_no_extra() -> None:
    """With no extra installed, pictures can still be painted: what paints them imports none."""
    code = (
        "import sys; sys.modules.update(dict.fromkeys(('av', 'onnx', 'onnxruntime', 'openvino', 'ray', 'starlette')));"
        "import nst_fast.inference.folder, nst_fast.inference.on_ray, nst_fast.cli.stylize_films"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def test_files_are_short() -> None:
    """No file of the package is longer than one can keep in mind."""
    lines = {path.relative_to(PACKAGE): len(path.read_text(encoding="utf-8").splitlines()) for path in list_files()}
    too_long = [f"nst_fast/{path} has {count} lines" for path, count in lines.items() if count > MOST_LINES]
    assert too_long == [], f"at most {MOST_LINES} lines; split by what the parts do"
