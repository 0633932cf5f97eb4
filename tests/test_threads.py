"""Threads of OpenMP."""

import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from aevb import threads

GNU = pytest.mark.skipif(
    sys.platform != "linux" or (os.cpu_count() or 1) < 2, reason="needs GNU OpenMP and two processors"
)
WAIT = """
import time
import torch
from aevb.threads import sleep_when_waiting
torch.set_num_threads(2)
if {sleeping}:
    sleep_when_waiting()
large = torch.ones(1 << 17)
large.exp()
start = time.process_time()
for _ in range(40):
    large.exp()
    time.sleep(0.005)
print(time.process_time() - start)
"""
"""A program that prints the seconds that its threads have a processor. They compute for some milliseconds of it."""


@pytest.mark.parametrize(
    ("content", "share"), [("150000 100000\n", 1.5), ("max 100000\n", math.inf), ("", math.inf), (None, math.inf)]
)
def test_the_share_of_a_container_is_read(tmp_path: Path, content: str | None, share: float) -> None:
    file = tmp_path / "cpu.max"
    if content is not None:
        file.write_text(content)
    assert threads.quota(str(file)) == share


@pytest.mark.parametrize(("share", "number"), [(0.5, "1"), (1.5, "2"), (math.inf, None)])
def test_a_container_gets_as_many_threads_as_processors(
    monkeypatch: pytest.MonkeyPatch, share: float, number: str | None
) -> None:
    monkeypatch.setattr(threads, "quota", lambda: share)
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    threads.limit_to_quota()
    assert os.environ.get("OMP_NUM_THREADS") == number
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    threads.limit_to_quota()
    assert os.environ["OMP_NUM_THREADS"] == "3"


@GNU
def test_threads_sleep_when_they_wait() -> None:
    """Time of the processors does not depend on how busy they are."""
    waiting, sleeping = (_seconds(sleeping) for sleeping in (False, True))
    assert sleeping < waiting / 3


@GNU
def test_the_choice_of_the_user_stays() -> None:
    assert _seconds(True, OMP_WAIT_POLICY="active") > 3 * _seconds(True, OMP_WAIT_POLICY="passive")


def _seconds(sleeping: bool, **environment: str) -> float:
    """Return the seconds that `WAIT` prints."""
    inherited = {name: value for name, value in os.environ.items() if "OMP" not in name} | environment
    command = [sys.executable, "-c", WAIT.format(sleeping=sleeping)]
    return float(subprocess.run(command, env=inherited, check=True, capture_output=True, text=True).stdout)
