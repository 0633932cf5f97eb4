"""The registry: names, plugins and what is refused."""

import os
import subprocess
import sys
from importlib.metadata import EntryPoints
from pathlib import Path
from unittest.mock import Mock

import pytest

from aevb.errors import BadInput
from aevb.models import registry
from aevb.models.registry import Registry, import_plugin

PLUGIN = """
from aevb.models.registry import register

@register.measure("answer", unit="nats")
def answer():
    return 42
"""


@pytest.fixture
def shapes() -> Registry[type]:
    """A registry whose home has no pieces."""
    return Registry("shape", "aevb.models.shapes")


def test_a_piece_is_found_by_its_name_with_its_facts(shapes: Registry[type]) -> None:
    @shapes("circle", corners=0)
    class Circle:
        """A round shape. It has no corners."""

    assert shapes["circle"] is Circle
    assert shapes.names() == list(shapes) == ["circle"]
    assert "circle" in shapes
    assert "square" not in shapes
    assert shapes.facts("circle") == {"corners": 0}
    assert shapes.summary("circle") == "A round shape"
    assert shapes.plugins() == [__name__]


def test_an_unknown_name_is_one_line_with_advice(shapes: Registry[type]) -> None:
    shapes("circle")(type("Circle", (), {}))
    with pytest.raises(
        BadInput, match=r"no shape is named 'cirle': did you mean circle\? .* another package, import MODULE"
    ):
        shapes["cirle"]


def test_two_pieces_of_one_name_are_refused_and_a_module_may_be_executed_again(shapes: Registry[type]) -> None:
    first, again = type("Circle", (), {}), type("Circle", (), {})
    shapes("circle")(first)
    shapes("circle")(again)
    assert shapes["circle"] is again
    with pytest.raises(BadInput, match=r"'circle' is registered twice.*rename one"):
        shapes("circle")(type("Disc", (), {}))


def python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, **environment}
    )


@pytest.mark.slow
@pytest.mark.parametrize("given_as", ["path", "module"])
def test_plugins_of_the_environment_are_loaded_at_the_first_lookup(tmp_path: Path, given_as: str) -> None:
    (tmp_path / "my_measures.py").write_text(PLUGIN)
    code = (
        "from aevb.models import registry; assert registry.plugins() == []\n"
        "assert registry.register.measure['answer']() == 42\n"
        "print(registry.plugins())"
    )
    name = {"path": str(tmp_path / "my_measures.py"), "module": "my_measures"}[given_as]
    done = python(code, AEVB_PLUGINS=name, PYTHONPATH=os.pathsep.join([str(tmp_path), *sys.path]))
    assert done.stdout == "['my_measures']\n", done.stderr


def test_a_plugin_that_cannot_be_imported_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken.py").write_text("import not_installed")
    monkeypatch.setenv("AEVB_PLUGINS", str(tmp_path / "broken.py"))
    with pytest.raises(BadInput, match=r"the plugin .*broken.py cannot be imported: ModuleNotFoundError: No module"):
        registry.load_plugins()
    monkeypatch.setenv("AEVB_PLUGINS", "not_installed")
    with pytest.raises(BadInput, match="the plugin not_installed cannot be imported"):
        registry.load_plugins()


def test_the_metadata_of_installed_packages_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """This takes 10 ms for 200 packages, and every command looks up pieces of several kinds."""
    read = Mock(return_value=EntryPoints())
    monkeypatch.setattr(registry, "entry_points", read)
    registry._installed.cache_clear()
    registry.load_plugins()
    registry.load_plugins()
    read.assert_called_once()
    registry._installed.cache_clear()


def test_the_path_of_a_plugin_exists_and_names_no_other_module(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="does not exist"):
        import_plugin(str(tmp_path / "missing.py"))
    (tmp_path / "json.py").write_text("")
    with pytest.raises(BadInput, match="has the name of another module"):
        import_plugin(str(tmp_path / "json.py"))


def test_the_registry_is_light() -> None:
    python("import aevb.models.registry, sys; assert 'torch' not in sys.modules").check_returncode()
