"""Devices by name."""

import torch

from aevb.errors import BadInput


def choose_device(name: torch.device | str) -> torch.device:
    """Return a device that is available on this machine.

    Args:
        name: cpu, cuda, mps, a device such as cuda:1, or auto: a GPU if there is one.

    Raises:
        BadInput: the device is unknown or not available.
    """
    available = ["cpu"]
    available += ["cuda"] if torch.cuda.is_available() else []
    available += ["mps"] if torch.backends.mps.is_available() else []
    if name == "auto":
        return torch.device(available[1] if "cuda" in available else "cpu")
    try:
        device = torch.device(name)
        if device.type in available and (device.index or 0) < max(1, torch.cuda.device_count()):
            return device
    except RuntimeError:
        pass
    raise BadInput(f"device {name} is not available on this machine: expected auto, {' or '.join(available)}")
