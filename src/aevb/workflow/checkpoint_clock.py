"""When checkpoints are due."""

import time


class CheckpointClock:
    """Tells when a checkpoint is due.

    Args:
        every: the interval, as in 10s, 5min, 500steps or 2epochs.
    """

    def __init__(self, every: str) -> None:
        count = every.rstrip("abcdefghijklmnopqrstuvwxyz")
        self.count, self.unit = int(count), every.removeprefix(count).rstrip("s") or "s"
        self.steps, self.since = 0, time.monotonic()
        self.epoch, self.due_after_epoch = 0, False

    def after_step(self) -> bool:
        """Return whether one is due after a step that does not end an epoch."""
        self.steps += 1
        return self.unit != "epoch" and self._due()

    def after_epoch(self, epoch: int) -> bool:
        """Return whether one is due after an epoch. The answer is the same for all models trained together."""
        if epoch != self.epoch:
            self.epoch, self.steps = epoch, self.steps + 1
            self.due_after_epoch = epoch % self.count == 0 if self.unit == "epoch" else self._due()
        return self.due_after_epoch

    def _due(self) -> bool:
        seconds = time.monotonic() - self.since
        elapsed = {"step": float(self.steps), "min": seconds / 60, "s": seconds}[self.unit]
        if elapsed < self.count:
            return False
        self.steps, self.since = 0, time.monotonic()
        return True
