"""The front door: a trained model with its data and its run folder."""

from pathlib import Path

import torch

from aevb.runs.run_folder import RunFolder


def load_run(folder: str | Path, device: torch.device | str = "cpu") -> RunFolder:
    """Load a run folder.

    Args:
        folder: its path, or an address on the hub, hub:OWNER/NAME or hub:OWNER/NAME@REVISION.
        device: of the model.

    Raises:
        BadInput: the folder is not a run folder, a file is missing or damaged, or a newer version wrote it.
    """
    return RunFolder.load(folder, device)
