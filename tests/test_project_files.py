"""Files about the project name commands, files and versions that exist. Workflows are parsed, not run."""

import re
import shlex
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from aevb.cli.app import app

ROOT = Path(__file__).parents[1]
if not (ROOT / ".github").is_dir():
    pytest.skip("a source distribution has no files of the repository", allow_module_level=True)
# The development dependencies dask and huggingface_hub install PyYAML.
yaml = pytest.importorskip("yaml", reason="needs PyYAML to parse YAML")

PROJECT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
PAGES = [ROOT / name for name in ("CONTRIBUTING.md", "CODE_OF_CONDUCT.md", "SECURITY.md")]
TEMPLATES = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
COMMAND = re.compile(r"`(aevb [^`\n]+)`")


def stated(field: str) -> str:
    """The value of a field of pyproject.toml."""
    match = re.search(rf'^{field} = "(.*)"$', PROJECT, re.MULTILINE)
    assert match
    return match[1]


def python_versions() -> list[str]:
    return re.findall(r'"Programming Language :: Python :: (3\.\d+)"', PROJECT)


def parsed(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def steps(workflow: Any) -> list[Any]:
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


def test_the_citation_is_that_of_the_version() -> None:
    citation = parsed(ROOT / "CITATION.cff")
    assert (citation["title"], citation["license"]) == (stated("name"), stated("license"))
    assert str(citation["version"]) == stated("version")
    assert citation["authors"] == [{"name": "The aevb developers"}]
    assert not {"repository", "repository-code", "url", "doi"} & set(citation)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflows_run_what_exists(path: Path) -> None:
    workflow = parsed(path)
    assert {"name", True, "permissions", "jobs"} <= set(workflow)  # YAML 1.1 reads `on` as true
    for step in steps(workflow):
        assert ("run" in step) != ("uses" in step)
        assert re.fullmatch(r"[\w-]+/[\w-]+@[\w./-]+", step.get("uses", "owner/name@v1"))
        for script in re.findall(r"bash (\S+)", step.get("run", "")):
            assert (ROOT / script).is_file()


def test_every_supported_python_is_tested() -> None:
    job = parsed(ROOT / ".github" / "workflows" / "ci.yml")["jobs"]["test"]
    assert job["strategy"]["matrix"]["python"] == python_versions()
    assert stated("requires-python") == f">={python_versions()[0]}"
    assert {"run": "bash .ci/run"} in job["steps"]


def test_a_tag_publishes_without_a_token() -> None:
    workflow = parsed(ROOT / ".github" / "workflows" / "publish.yml")
    assert workflow[True] == {"push": {"tags": ["v*"]}}
    assert workflow["jobs"]["publish"]["permissions"] == {"id-token": "write"}
    assert "secrets." not in (ROOT / ".github" / "workflows" / "publish.yml").read_text(encoding="utf-8")
    assert workflow["jobs"]["build"]["steps"][1]["with"]["python-version"] in python_versions()


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_forms_of_issues_have_distinct_fields(path: Path) -> None:
    form = parsed(path)
    assert {"name", "description", "body"} <= set(form)
    identifiers = [field["id"] for field in form["body"]]
    assert len(set(identifiers)) == len(identifiers)
    for field in form["body"]:
        assert field["type"] in ("textarea", "input")
        assert field["attributes"]["label"]
    assert any(field.get("validations", {}).get("required") for field in form["body"])


def test_the_image_is_built_from_the_wheel() -> None:
    instructions = [line.split() for line in (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines() if line]
    bases = [words[1] for words in instructions if words[0] == "FROM"]
    assert len(bases) == 2
    assert {base.removeprefix("python:").removesuffix("-slim") for base in bases} <= set(python_versions())
    for words in instructions:
        if words[0] == "COPY" and not words[1].startswith("--from"):
            assert all((ROOT / source).exists() for source in words[1:-1])
    assert ["ENTRYPOINT", '["aevb"]'] in instructions


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_links_lead_to_files(path: Path) -> None:
    for link in re.findall(r"\]\(([^)#]+)", path.read_text(encoding="utf-8")):
        assert (ROOT / link).exists(), link


@pytest.mark.parametrize("path", [*PAGES, *TEMPLATES, ROOT / "Dockerfile"], ids=lambda path: path.name)
def test_commands_exist(path: Path) -> None:
    """Commands of aevb are parsed as typed, and named modules and paths of tests exist."""
    text = path.read_text(encoding="utf-8")
    for command in COMMAND.findall(text):
        if not command.startswith("aevb --"):
            app.parse_args(shlex.split(command)[1:], exit_on_error=False, print_error=False)
    for module in re.findall(r"python -m (tests\S*)", text):
        assert find_spec(module)
    for test in re.findall(r"\b(?:tests|src|docs|benchmarks)/[\w./-]+", text):
        assert (ROOT / test.rstrip(".")).exists(), test
