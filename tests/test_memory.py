"""Memory that a process frees and keeps."""

import os
import platform
import subprocess
import sys

import pytest

FAULTS = """
import resource, torch
{first}
def step():
    for _ in range(5):
        torch.ones(10_000_000).add(1)
step()
for _ in range(3):
    step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(first: str) -> int:
    """Return the number of page faults of a step of a process."""
    surroundings = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    command = [sys.executable, "-c", FAULTS.format(first=first)]
    return int(subprocess.run(command, env=surroundings, capture_output=True, text=True, check=True).stdout)


@pytest.mark.slow
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="of the GNU C library")
def test_freed_memory_is_kept_by_commands_and_during_training() -> None:
    imported = "from aevb.memory import keep_freed_memory, keeping_freed_memory"
    default, kept, within, after = (
        faults(f"{imported}\n{first}")
        for first in (
            "",
            "keep_freed_memory()",
            "within = keeping_freed_memory()\nwithin.__enter__()",
            "with keeping_freed_memory():\n    torch.ones(10_000_000)",
        )
    )
    assert max(kept, within) < default / 10
    assert after > default / 2
