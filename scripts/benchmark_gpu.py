"""The networks alone on a graphics card, beside what the card could do at most (its roofline).

    python scripts/benchmark_gpu.py [--size 3840x2160] [--seconds 3] [--json FILE]

Photos are on the card already and stylized images stay there; times are the card's own, between events. Ways: eager or
compiled (with CUDA graphs), contiguous or channels_last, in fp32 (TF32), fp16 and bf16. The roofline is the larger of
two times: the convolutions' operations at the card's peak rate, and the bytes that must be read and written at least
(each convolution's input and output once, the norm's input once more) at its peak bandwidth. Both peaks are measured
here, by a large matrix product and a large copy.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from nst_fast.benchmark import describe_computer
from nst_fast.cli.numbers import size_in_pixels
from nst_fast.networks.registry import NETWORKS
from nst_fast.networks.torch_layers import SmoothUpsampleConv
from nst_fast.networks.torch_network import StyleNetwork, build_network
from nst_fast.settings.networks import NetworkSettings

NUMBER_TYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


def measure_seconds(work: Callable[[], object], device: torch.device, seconds: float) -> float:
    """The median time of one call, after three calls to warm up."""
    for _ in range(3):
        work()
    times: list[float] = []
    while sum(times) < seconds or len(times) < 5:
        if device.type == "cuda":
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            start.record()
            work()
            end.record()
            end.synchronize()
            times.append(start.elapsed_time(end) / 1000)
        else:
            before = time.perf_counter()
            work()
            times.append(time.perf_counter() - before)
    return sorted(times)[len(times) // 2]


def measure_peaks(device: torch.device, number_type: torch.dtype, side: int) -> tuple[float, float]:
    """Operations and bytes a second that the device reaches at best."""
    matrix = torch.randn(side, side, device=device, dtype=number_type)
    operations = 2 * side**3 / measure_seconds(lambda: matrix @ matrix, device, 0.5)
    source = torch.empty(side * side * 4, device=device, dtype=torch.uint8)
    target = torch.empty_like(source)
    return operations, 2 * source.numel() / measure_seconds(lambda: target.copy_(source), device, 0.5)


@torch.no_grad()
def count_bytes_per_pixel(network: StyleNetwork, bytes_per_number: int) -> float:
    """What must go through memory for each pixel, if only convolutions and their norms did."""
    with torch.device("meta"):
        twin = StyleNetwork(network.description)
    numbers = 0

    def note(_layer: nn.Module, given: tuple[Tensor, ...], result: Tensor) -> None:
        nonlocal numbers
        numbers += given[0].numel() + 2 * result.numel()

    for module in twin.modules():
        if isinstance(module, nn.Conv2d | SmoothUpsampleConv):
            module.register_forward_hook(note)
    twin(torch.empty(1, 3, 64, 64, device="meta"))
    return numbers * bytes_per_number / 64**2


def measure_network(name: str, device: torch.device, height: int, width: int, seconds: float, side: int) -> list[dict]:
    """All ways for one network, each as a line of the result."""
    lines = []
    for precision, number_type in NUMBER_TYPES.items():
        torch.manual_seed(0)
        network = build_network(name, input_noise=NetworkSettings().input_noise)
        network = network.eval().requires_grad_(False).to(device, number_type)
        operations, bandwidth = measure_peaks(device, number_type, side)
        pixels = height * width
        by_operations = pixels * network.description.operations_per_pixel / operations
        by_bytes = pixels * count_bytes_per_pixel(network, number_type.itemsize) / bandwidth
        for layout in (torch.contiguous_format, torch.channels_last):
            laid_out = network.to(memory_format=layout)
            photo = torch.rand(1, 3, height, width, device=device, dtype=number_type).to(memory_format=layout)
            for way in ("eager", "compiled"):
                stylize = torch.compile(laid_out, mode="reduce-overhead") if way == "compiled" else laid_out

                def work(stylize: Callable[[Tensor], Tensor] = stylize, photo: Tensor = photo) -> None:
                    with torch.inference_mode():
                        stylize(photo)

                taken = measure_seconds(work, device, seconds)
                lines.append(
                    {
                        "network": name,
                        "precision": precision,
                        "layout": str(layout).removeprefix("torch."),
                        "way": way,
                        "milliseconds": taken * 1000,
                        "frames_per_second": 1 / taken,
                        "roofline_milliseconds": max(by_operations, by_bytes) * 1000,
                        "bound_by": "operations" if by_operations > by_bytes else "bytes",
                    }
                )
    return lines


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=size_in_pixels, default=(3840, 2160), metavar="WxH", help="(default: 3840x2160)")
    parser.add_argument("--seconds", type=float, default=3, help="for each line (default: %(default)s)")
    parser.add_argument("--device", default="cuda", help="(default: %(default)s)")
    parser.add_argument("--peak-side", type=int, default=8192, help="of the matrices for the peaks (default: 8192)")
    parser.add_argument("--json", type=Path, help="write all figures to this file too")
    options = parser.parse_args()
    if options.device == "cuda" and not torch.cuda.is_available():
        parser.error("there is no graphics card that torch can use here; give --device cpu to try the script")
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    torch.backends.cudnn.benchmark = True
    (width, height), device = options.size, torch.device(options.device)
    print(describe_computer())
    lines = []
    for name in NETWORKS:
        for line in measure_network(name, device, height, width, options.seconds, options.peak_side):
            print("  ".join(f"{value:.2f}" if isinstance(value, float) else str(value) for value in line.values()))
            lines.append(line)
    if options.json:
        options.json.write_text(json.dumps({"computer": describe_computer(), "lines": lines}, indent=2) + "\n")


if __name__ == "__main__":
    main()
