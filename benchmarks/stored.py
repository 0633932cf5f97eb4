"""Training from a file on disk, compared with training from the same examples in memory.

Both models are trained in one process, in alternating order: two epochs, of which the second is timed. The cache of the
file system is warm, so the ratio includes the cost of reading, checking and shuffling, and not that of a disk.
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
PREPARE = {
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
    """Data, and the model that is trained on them.

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
"""Examples per second in memory and from the file in each round, by workload."""


def measured(count: int) -> Rates:
    """Run the rounds of each workload."""
    return {name: _rounds(name, count) for name in WORKLOADS}


def table(results: Rates) -> str:
    """Return a Markdown table."""
    lines = ["| | in memory | from the file | ratio |", "|---|---|---|---|"]
    for name, rates in results.items():
        memory, file = zip(*rates, strict=True)
        cells = f"{median(memory):,.0f} | {median(file):,.0f} | {ratio(file, memory, 2)}"
        lines.append(f"| {WORKLOADS[name].title} | {cells} |")
    return "\n".join(lines)


def _rounds(name: str, count: int) -> list[tuple[float, float]]:
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-c", PREPARE[name]], cwd=folder, check=True)
        _, path, *sizes = WORKLOADS[name]
        command = [sys.executable, "-c", TURN, str(Path(folder) / path), *map(str, sizes)]
        orders = [("on", "off"), ("off", "on")] * count
        return [_turn([*command, *order]) for order in orders[:count]]


def _turn(command: list[str]) -> tuple[float, float]:
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    memory, file = json.loads(done.stdout.splitlines()[-1])
    return memory, file
