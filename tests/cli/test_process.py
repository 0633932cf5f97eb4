"""What the commands do to their own process."""

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
    """Pages that a process has to ask for again."""
    surroundings = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    command = [sys.executable, "-c", FAULTS.format(first=first)]
    return int(subprocess.run(command, env=surroundings, capture_output=True, text=True, check=True).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="of the GNU C library")
def test_memory_is_kept_where_that_is_asked_for_and_not_by_an_import() -> None:
    imported, asked = faults("import aevb"), faults("from aevb.cli.process import keep_memory; keep_memory()")
    assert asked < imported / 10
