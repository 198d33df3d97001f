"""How the learning rate goes over a run."""

import math


def learning_rate_at(step: int, *, steps: int, peak: float, warmup_steps: int, stays_until: int = 0) -> float:
    """Linear warm-up to `peak`, then half a cosine down to nothing (Loshchilov and Hutter 2017, arXiv 1608.03983).

    Args:
        step: counted from 0.
        steps: of the whole run.
        stays_until: the step at which it begins to fall, if that is after the warm-up.
    """
    if step < warmup_steps:
        return peak * (step + 1) / warmup_steps
    falls_from = max(warmup_steps, stays_until)
    progress = max(step - falls_from, 0) / max(steps - falls_from, 1)
    return peak * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))
