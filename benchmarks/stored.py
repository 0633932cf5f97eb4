"""Learning from a file that stays where it is, beside learning from the same examples in memory.

Both are trained in one process, one after the other, the other one first in the next round: two epochs, of which the
second counts. The cache of the file system is warm, so what is told is what reading, checking and shuffling cost, not
what a disk does.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import NamedTuple

from benchmarks.timing import ratio

TURN = """
import json, sys
from aevb.config.schema import ModelConfig, TrainConfig
from aevb.config.build import build
from aevb.config.resolve import resolve
from aevb.data import load_data
from aevb.models.objectives import ELBO
from aevb.memory import keep_freed_memory
from aevb.training.fit import fit
keep_freed_memory()
path, hidden, latent, size = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
rates = {}
for in_memory in sys.argv[5:]:
    dataset = load_data(path, in_memory=in_memory)
    config = ModelConfig(hidden=(hidden,), latent=(latent,))
    model = build(resolve(config, dataset), dataset.shape, dataset.columns)
    options = TrainConfig(epochs=2, batch_size=size, compile="off")
    history = fit(model, ELBO(), dataset.train_source, config=options)
    rates[in_memory] = len(dataset.train_source) / history.epochs[-1].seconds
print(json.dumps([rates["on"], rates["off"]]))
"""
MADE = {
    "images": """
import numpy as np
np.save("data.npy", np.random.default_rng(0).integers(0, 256, size=(60_000, 28, 28), dtype=np.uint8))
""",
    "rows": """
import numpy as np
np.save("data.npy", np.random.default_rng(0).normal(size=(400_000, 16)).astype(np.float32))
""",
    "table": """
import numpy as np, pyarrow as pa, pyarrow.parquet as pq
from pathlib import Path
rng, count = np.random.default_rng(0), 50_000
Path("data").mkdir()
for number in range(6):
    columns = {f"x{place}": rng.normal(size=count) for place in range(6)}
    columns |= {f"c{place}": rng.choice(list("abcde"), count) for place in range(4)}
    pq.write_table(pa.table(columns), f"data/{number}.parquet", row_group_size=10_000)
""",
}


class Workload(NamedTuple):
    """What is learned from, and by what.

    Attributes:
        title: in words.
        path: of the data.
        hidden, latent, batch: of the model and its steps.
    """

    title: str
    path: str
    hidden: int
    latent: int
    batch: int


WORKLOADS = {
    "images": Workload("60,000 images of 28 x 28 bytes in .npy, 784-500-20, batch 128", "data.npy", 500, 20, 128),
    "rows": Workload("400,000 rows of 16 numbers in .npy, 16-128-2, batch 100", "data.npy", 128, 2, 100),
    "table": Workload("300,000 rows of 6 numbers and 4 texts in Parquet, 128-2, batch 100", "data", 128, 2, 100),
}
Rates = dict[str, list[tuple[float, float]]]
"""By workload, examples per second in memory and from the file, in each round."""


def measured(count: int) -> Rates:
    """So many rounds of each workload."""
    return {name: _rounds(name, count) for name in WORKLOADS}


def table(found: Rates) -> str:
    """Markdown."""
    lines = ["| | in memory | from the file | ratio |", "|---|---|---|---|"]
    for name, rates in found.items():
        near, far = zip(*rates, strict=True)
        told = f"{median(near):,.0f} | {median(far):,.0f} | {ratio(far, near, 2)}"
        lines.append(f"| {WORKLOADS[name].title} | {told} |")
    return "\n".join(lines)


def _rounds(name: str, count: int) -> list[tuple[float, float]]:
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-c", MADE[name]], cwd=folder, check=True)
        _, path, *sizes = WORKLOADS[name]
        command = [sys.executable, "-c", TURN, str(Path(folder) / path), *map(str, sizes)]
        orders = [("on", "off"), ("off", "on")] * count
        return [_turn([*command, *order]) for order in orders[:count]]


def _turn(command: list[str]) -> tuple[float, float]:
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    near, far = json.loads(done.stdout.splitlines()[-1])
    return near, far
