"""Compare the estimated memory of a training with the peak of its process: python -m benchmarks.footprint.

Each model is trained for three epochs in a process of its own, by the code of `aevb train` without its evaluation. The
peak is counted from the memory in use before training. Writes benchmarks/results/footprint-cpu.md.
"""

import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from aevb import memory
from aevb.config.build import build, build_objective
from aevb.config.resolve import resolve
from aevb.config.schema import Config
from aevb.data import load_data
from aevb.training.footprint import example_bytes, trained_bytes
from aevb.workflow.fitting import fit_run
from benchmarks.timing import machine

PAGE = Path(__file__).parent / "results" / "footprint-cpu.md"
MIB = 2**20
MODELS = {
    "2 layers of 2,000 units": {"model": {"hidden": [2000, 2000]}},
    "2 layers of 4,000 units": {"model": {"hidden": [4000, 4000]}},
    "2 layers of 4,000 units, sgd": {"model": {"hidden": [4000, 4000]}, "train": {"optimizer": "sgd", "lr": 1e-3}},
    "batches of 1,000 with 20 samples": {
        "model": {"hidden": [1000, 1000]},
        "objective": {"n_samples": 20},
        "train": {"batch_size": 1000},
    },
    "convolutions, batches of 500": {"model": {"network": "conv", "channels": [64, 128]}, "train": {"batch_size": 500}},
}


def main() -> int:
    """Measure every model and write the page."""
    rows = ["| model | weights, MiB | estimate, MiB | peak, MiB | peak over estimate |", "|---|---|---|---|---|"]
    for name, sections in MODELS.items():
        command = [sys.executable, "-m", "benchmarks.footprint", json.dumps(sections)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        weights, estimate, peak = json.loads(done.stdout.splitlines()[-1])
        rows.append(f"| {name} | {weights:.0f} | {estimate:.0f} | {peak:.0f} | {peak / estimate:.2f} |")
    text = "\n".join(rows)
    note = f"{machine('cpu')}; `python -m benchmarks.footprint`"
    PAGE.write_text(f"# Memory of a training, estimated and measured\n\n{text}\n\n{note}\n")
    print(text)
    return 0


def measured(sections: dict[str, dict[str, object]]) -> tuple[float, float, float]:
    """Return the size of the weights, the estimate and the measured peak, in MiB."""
    content = sections | {"train": {"epochs": 3} | sections.get("train", {})}
    config, dataset = Config.model_validate(content), load_data("digits")
    objective, model = build_objective(config.objective), build(resolve(config.model, dataset), dataset.shape)
    size = sum(weight.numel() * weight.element_size() for weight in model.parameters())
    rows = min(config.train.batch_size, len(dataset.train))
    estimate = trained_bytes(model, config.train) + rows * example_bytes(model, objective.n_samples, dataset.train)
    del model
    before = memory.used()
    with tempfile.TemporaryDirectory() as folder:
        fit_run(config, Path(folder) / "run", dataset)
    peak = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return size / MIB, estimate / MIB, peak / MIB


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(measured(json.loads(sys.argv[1]))))
    else:
        sys.exit(main())
