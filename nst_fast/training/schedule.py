"""How the learning rate goes over a run."""

import math


def learning_rate_at(step: int, *, steps: int, peak: float, warmup_steps: int) -> float:
    """Linear warm-up to `peak`, then half a cosine down to nothing (Loshchilov and Hutter 2017, arXiv 1608.03983).

    Args:
        step: counted from 0.
        steps: of the whole run.
    """
    if step < warmup_steps:
        return peak * (step + 1) / warmup_steps
    progress = (step - warmup_steps) / max(steps - warmup_steps, 1)
    return peak * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))
