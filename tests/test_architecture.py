"""The architecture of nst_fast: which room may import which, who may know the command line, who needs PyTorch."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "nst_fast"

# Rooms (a folder or a file of the package) from the ground up. A room imports only from the floors below its own,
# neither upwards nor sideways. Inside one room everything may import everything. docs/ shows the same floors.
FLOORS = (
    ("errors",),
    ("files", "memory", "processor"),
    ("media",),
    ("networks", "figures", "motion"),
    ("stylize",),
    ("films",),
    ("batch",),
    ("settings", "runs"),
    ("data", "losses"),
    ("loss_networks",),
    ("export",),
    ("training", "optimization"),
    ("evaluation", "reconstruction"),
    ("live", "benchmark"),
    ("cli",),
)
FLOOR_OF = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}

# (importing room, imported room) -> why these two may be neighbors all the same.
ALLOWED_SIDEWAYS: dict[tuple[str, str], str] = {}

COMMAND_LINE = frozenset({"argparse", "hydra", "omegaconf"})
HEAVY = frozenset(
    {"av", "hydra", "onnx", "omegaconf", "onnxruntime", "openvino", "starlette", "tensorboard", "torch", "torchvision"}
)
# Rooms that stylize without PyTorch, and their modules that are there for PyTorch.
STYLIZING = frozenset(
    {
        "errors",
        "files",
        "memory",
        "processor",
        "media",
        "networks",
        "motion",
        "stylize",
        "films",
        "batch",
        "live",
        "benchmark",
    }
)
FOR_TORCH = re.compile(r"/torch_\w+\.py$")
TRAINING_PACKAGES = frozenset({"hydra", "omegaconf", "onnx", "tensorboard", "torch", "torchvision", "yaml"})
# Both in functions that run only once the torch engine, or a GPU that nothing else reaches, is chosen.
ALLOWED_TORCH_IMPORTS = [
    "stylize/engines/choice.py imports nst_fast.stylize.engines.torch_engine",
    "stylize/engines/choice.py imports torch",
]


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
            faults.append(f"{line}: imports nst_fast itself; import from the submodule, as nst_fast.data.images")
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
        ("losses", "from nst_fast.media.pictures import read_picture", None),
        ("losses", "from nst_fast.losses.style import style_loss", None),
        ("losses", "import torch", None),
        ("cli", "import hydra", None),
        ("errors", "from nst_fast.files.atomic import replace_atomically", "upwards from files"),
        ("losses", "import nst_fast.training.loop as loop", "upwards from training"),
        (
            "losses",
            "def f():\n    from nst_fast.data.sampler import iterate_batches",
            "sideways from data",
        ),
        (
            "training",
            "if TYPE_CHECKING:\n    from nst_fast.optimization import optimize",
            "sideways from optimization",
        ),
        ("training", "from nst_fast import errors", "imports nst_fast itself"),
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


def test_stylizing_needs_no_torch() -> None:
    """No module of the stylizing half imports PyTorch and its company, except those that are there for it."""
    faults = [
        f"{path.relative_to(PACKAGE).as_posix()} imports {name}"
        for path in list_files()
        if find_room(path) in STYLIZING and not FOR_TORCH.search(path.relative_to(PACKAGE).as_posix())
        for _, name in list_imports(path.read_text(encoding="utf-8"))
        if name.partition(".")[0] in TRAINING_PACKAGES or ".torch_" in name
    ]
    assert faults == ALLOWED_TORCH_IMPORTS


def test_the_documentation_shows_these_floors() -> None:
    """The floors in docs/ are those of this test, in the same order."""
    text = (PACKAGE.parent / "docs" / "reference" / "architecture.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+) \| ((?:`\w+`(?:, )?)+) \|", text, re.MULTILINE)
    assert [int(number) for number, _ in rows] == list(range(1, len(FLOORS) + 1))
    assert [tuple(re.findall(r"`(\w+)`", rooms)) for _, rooms in rows] == list(FLOORS)


def test_public_names_are_typed() -> None:
    """The names that `nst_fast` gives lazily are those that type checkers see, with the same homes."""
    import nst_fast

    source = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    typed = {
        alias.asname: node.module
        for node in ast.walk(source)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("nst_fast.")
        for alias in node.names
        if alias.asname is not None
    }
    assert typed == nst_fast._HOMES
    for name in nst_fast.__all__:
        assert getattr(nst_fast, name) is not None
    assert (PACKAGE / "py.typed").is_file()
