"""`nst-fast styles`: the styles that come with the program."""

import argparse
import json
from pathlib import Path
from typing import Any

from nst_fast.networks.checkpoint_header import list_shipped_checkpoints, read_checkpoint_header

_COLUMNS = {
    "name": "name",
    "style_image": "style image",
    "network": "network",
    "size_kilobytes": "kB",
    "style_loss": "style loss",
    "content_loss": "content loss",
    "steps": "steps",
}
_NUMBERS = ("size_kilobytes", "style_loss", "content_loss", "steps")


def main(arguments: list[str]) -> int:
    """Run the command with the arguments that follow `nst-fast styles`; returns the exit status.

    Raises:
        CheckpointError: a shipped checkpoint cannot be read.
    """
    options = build_parser().parse_args(arguments)

    styles = [_describe_style(name, path) for name, path in list_shipped_checkpoints().items()]
    if options.json:
        print(json.dumps(styles, ensure_ascii=False, indent=2))
    elif styles:
        print(_format_table(styles))
    else:
        print("no styles are shipped; train one with nst-fast train")
    return 0


def build_parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    parser = argparse.ArgumentParser(
        prog="nst-fast styles",
        description="List the shipped styles: the style image, the network, the size of the checkpoint, the style and "
        "content loss on photos that were not trained on (smaller is better), and the training steps.",
        allow_abbrev=False,
    )
    parser.add_argument("--json", action="store_true", help="print JSON, for programs (default: a table)")
    return parser


def _describe_style(name: str, path: Path) -> dict[str, Any]:
    """One style as JSON shows it; None where its checkpoint does not say."""
    header = read_checkpoint_header(path)
    style, held_out, training = (header.get(key, {}) for key in ("style", "held_out", "training"))
    return {
        "name": name,
        "title": style.get("title"),
        "artist": style.get("artist"),
        "year": style.get("year"),
        "network": header.get("network", {}),
        "size_kilobytes": round(path.stat().st_size / 1000),
        "style_loss": held_out.get("style"),
        "content_loss": held_out.get("content"),
        "total_loss": held_out.get("total"),
        "steps": training.get("steps"),
        "file": str(path),
    }


def _format_table(styles: list[dict[str, Any]]) -> str:
    rows = [list(_COLUMNS.values()), *(_format_row(style) for style in styles)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS))]
    aligned = (
        "  ".join(
            text.rjust(width) if key in _NUMBERS else text.ljust(width)
            for key, text, width in zip(_COLUMNS, row, widths, strict=True)
        )
        for row in rows
    )
    return "\n".join(line.rstrip() for line in aligned)


def _format_row(style: dict[str, Any]) -> list[str]:
    net = style["network"]
    cells = {
        **style,
        "style_image": ", ".join(str(style[key]) for key in ("title", "artist", "year") if style[key] is not None),
        "network": " ".join(str(net[key]) for key in ("name", "width") if key in net),
    }
    return [_format_cell(cells[key]) for key in _COLUMNS]


def _format_cell(value: Any) -> str:
    if value is None or value == "":
        return "-"
    return f"{value:.3f}" if isinstance(value, float) else str(value)
