"""Tells a training that has failed from one that is merely noisy."""

import math

# A loss this many times the first one never comes back by itself.
EXPLOSION_FACTOR = 100.0


class DivergenceGuard:
    """Watches the total loss.

    Attributes:
        first_total: the mean total when it was first measured; None before.
    """

    def __init__(self) -> None:
        self.first_total: float | None = None

    def diagnose(self, total: float) -> str | None:
        """What is wrong with the loss, or None.

        Args:
            total: the mean total loss since the last call.
        """
        if not math.isfinite(total):
            return "the loss is no longer a number"
        if self.first_total is None:
            self.first_total = total
        if total > EXPLOSION_FACTOR * self.first_total:
            return f"the loss exploded ({total:.3g}; it started at {self.first_total:.3g})"
        return None

    def state_dict(self) -> dict[str, float | None]:
        """What `load_state_dict` needs to resume."""
        return {"first_total": self.first_total}

    def load_state_dict(self, state: dict[str, float | None]) -> None:
        """Resume from a saved state."""
        self.first_total = state["first_total"]
