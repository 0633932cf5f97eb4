"""`aevb.fit` with eager steps, one kernel after another: the baseline for captured steps on a GPU."""

from aevb.training import policy
from benchmarks.contestants.ours import train

__all__ = ["train"]

policy.CAPTURE_FROM_STEPS = 10**12
