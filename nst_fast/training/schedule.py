"""The learning rate over a training."""

import math


def learning_rate_at(step: int, *, steps: int, peak: float, warmup_steps: int, constant_until: int = 0) -> float:
    """Linear warm-up to the peak, then cosine decay to zero (Loshchilov and Hutter 2017, arXiv 1608.03983).

    Args:
        step: counted from 0.
        steps: of the whole training.
        peak: the highest learning rate.
        warmup_steps: steps until the peak.
        constant_until: the decay starts at this step, or after the warm-up if that ends later.
    """
    if step < warmup_steps:
        return peak * (step + 1) / warmup_steps
    decays_from = max(warmup_steps, constant_until)
    progress = max(step - decays_from, 0) / max(steps - decays_from, 1)
    return peak * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))
