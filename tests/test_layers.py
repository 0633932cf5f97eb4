"""The floors of the house: a module imports only from modules above it in the list."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import aevb
from aevb.config.schema import Config
from aevb.workflow.fitting import fit_run
from aevb.workflow.train import load_source

PACKAGES = [
    "errors",
    "files",
    "display",
    "memory",
    "threads",
    "rng",
    "columns",
    "models",
    "data",
    "config",
    "training",
    "evaluation",
    "runs",
    "estimators",
    "plots",
    "report",
    "explorer",
    "workflow",
    "reproduction",
    "cli",
    "__main__",
]
PACKAGE = Path(aevb.__file__).parent
FILES = [path for path in sorted(PACKAGE.rglob("*.py")) if path != PACKAGE / "__init__.py"]


def floor(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(source: str) -> Iterator[str]:
    """The floors that a module imports, at its top or anywhere in it."""
    for node in ast.walk(ast.parse(source)):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        yield from (name.split(".")[1] for name in names if name.startswith("aevb."))


def upward(source: str, name: str) -> set[str]:
    return {other for other in imported(source) if PACKAGES.index(other) > PACKAGES.index(name)}


def test_every_module_has_a_floor() -> None:
    assert {floor(path) for path in FILES} == set(PACKAGES)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_import_goes_up(path: Path) -> None:
    assert not upward(path.read_text(), floor(path))


@pytest.mark.parametrize(
    "source",
    ["import aevb.runs.run_folder", "from aevb.runs.run_folder import RunFolder", "def f():\n from aevb import runs"],
)
def test_an_upward_import_would_be_found(source: str) -> None:
    assert upward(source, "training") == {"runs"}


def test_import_and_help_are_light() -> None:
    """`import aevb` and `aevb --help` do without torch."""
    code = (
        "import sys, aevb, aevb.cli.app\n"
        "try: aevb.cli.app.main(['--help'])\n"
        "except SystemExit as stop: assert not stop.code\n"
        "assert not {'torch', 'numpy', 'matplotlib', 'sklearn'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_public_names_exist() -> None:
    assert all(getattr(aevb, name) is not None for name in aevb.__all__)
    with pytest.raises(AttributeError, match="no attribute 'vae'"):
        _ = aevb.vae


@pytest.mark.parametrize("command", ["encode RUN TABLE", "sample RUN", "impute RUN TABLE", "score RUN TABLE"])
def test_commands_for_few_rows_import_no_compiler_no_plots_and_no_scipy(command: str, tmp_path: Path) -> None:
    """Computations with meta tensors import torch._dynamo, which takes a second; SciPy and SymPy take half of one."""
    rows = [f"{row % 7}.5,{row % 11},{'ab'[row % 2]}" for row in range(40)]
    (tmp_path / "t.csv").write_text("\n".join(["x,n,kind", *rows, "2.5,,a", ",3,"]))
    types = {"x": "real", "n": "integer"}
    config = Config.model_validate(
        {
            "data": {"source": str(tmp_path / "t.csv"), "column_types": types},
            "model": {"prior": "mixture"},
            "train": {"epochs": 1},
        }
    )
    fit_run(config, tmp_path / "run", load_source(config))
    words = command.replace("RUN", str(tmp_path / "run")).replace("TABLE", str(tmp_path / "t.csv")).split()
    code = (
        f"import sys\nfrom aevb.cli.app import main\nsys.argv = ['aevb', *{words}]\n"
        "try:\n    main()\nexcept SystemExit as ended:\n    assert not ended.code\n"
        "assert not {'torch._dynamo', 'sympy', 'matplotlib', 'sklearn', 'scipy', 'jinja2'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
