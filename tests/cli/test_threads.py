"""Threads of a command."""

import math
import os
from pathlib import Path

import pytest

from aevb.cli import threads


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
    for name in ("OMP_NUM_THREADS", "OMP_WAIT_POLICY"):
        monkeypatch.delenv(name, raising=False)
    threads.configure()
    assert os.environ.get("OMP_NUM_THREADS") == number
    assert os.environ["OMP_WAIT_POLICY"] == "passive"
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.setenv("OMP_WAIT_POLICY", "active")
    threads.configure()
    assert (os.environ["OMP_NUM_THREADS"], os.environ["OMP_WAIT_POLICY"]) == ("3", "active")
