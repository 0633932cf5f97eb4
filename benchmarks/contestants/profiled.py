"""Time a contestant and its kernels in its own process: python -m benchmarks.contestants.profiled NAME WORKLOAD DEVICE.

Prints examples per second, and the seconds of a step and of its kernels, as JSON.
"""

import json
import sys
from typing import NamedTuple

from torch.profiler import ProfilerActivity, profile

from benchmarks.contestants.run import contestant, quietly, rate, settle
from benchmarks.workloads import WORKLOADS

STEPS = 100
"""Number of steps whose kernels are recorded."""
EPOCHS = 5
"""Number of timed epochs."""


class Speed(NamedTuple):
    """The speed of a training.

    Attributes:
        rate: examples per second; of stacked models, over all of them.
        step: seconds of a step.
        kernels: seconds of the kernels of a step; on a CPU, of its operations.
    """

    rate: float
    step: float
    kernels: float


def main(name: str, key: str, device: str) -> None:
    """Train three times: untimed, timed and profiled."""
    workload = WORKLOADS[key]
    with quietly():
        train = contestant(name)
        examples_a_second = rate(train, workload, device, EPOCHS)
        with profiler(device) as recorded:
            train(workload, workload.data(STEPS * workload.batch), 1, device)
            settle(device)
    speed = Speed(examples_a_second, workload.batch / examples_a_second, kernel_seconds(recorded) / STEPS)
    print(json.dumps(speed._asdict()))


def profiler(device: str) -> profile:
    """Return a profiler of the kernels on a device."""
    return profile(activities=[ProfilerActivity.CUDA if device == "cuda" else ProfilerActivity.CPU])


def kernel_seconds(recorded: profile) -> float:
    """Return the sum of the seconds of the recorded kernels, copies included; without a GPU, of the operations."""
    events = [event for event in recorded.key_averages() if not event.is_user_annotation]
    on_gpu = [event for event in events if event.device_type.name == "CUDA"]
    microseconds: float = sum(event.self_device_time_total for event in on_gpu)
    return 1e-6 * (microseconds or sum(event.self_cpu_time_total for event in events))


if __name__ == "__main__":
    main(*sys.argv[1:])
