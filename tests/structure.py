"""Counts that describe the structure of the package: `python -m tests.structure` prints them.

Modules and their sizes, lengths of functions, imports inside functions, `Any`, `type: ignore` and import cycles.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import median, quantiles

import aevb

PACKAGE = Path(aevb.__file__).parent
LONG = 400
"""Lines of code above which a module counts as long."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


def modules(package: Path = PACKAGE) -> dict[str, str]:
    """Return the source of each module by its dotted name."""
    return {_name(package, path): path.read_text(encoding="utf-8") for path in sorted(package.rglob("*.py"))}


def _name(package: Path, path: Path) -> str:
    parts = path.relative_to(package.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def function_lengths(source: str) -> list[int]:
    """Return the number of lines of each function's body, without its docstring."""
    functions = (node for node in ast.walk(ast.parse(source)) if isinstance(node, Function))
    return [_body_lines(function) for function in functions]


def _body_lines(function: Function) -> int:
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return body[-1].end_lineno - body[0].lineno + 1 if body and body[-1].end_lineno else 1


def local_imports(source: str) -> int:
    """Return the number of import statements inside functions."""
    functions = (node for node in ast.walk(ast.parse(source)) if isinstance(node, Function))
    inside = {id(node): node for function in functions for node in ast.walk(function)}
    return sum(isinstance(node, ast.Import | ast.ImportFrom) for node in inside.values())


def uses_of_any(source: str) -> int:
    """Return how often a module uses `Any` as a type."""
    return sum(isinstance(node, ast.Name) and node.id == "Any" for node in ast.walk(ast.parse(source)))


def imported(source: str, names: set[str], *, type_checking: bool = True) -> Iterator[str]:
    """Yield the modules among `names` that a module imports, at its top or inside functions."""
    tree = ast.parse(source)
    skipped = set() if type_checking else {id(child) for node in _typing_blocks(tree) for child in ast.walk(node)}
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in names)
        elif isinstance(node, ast.ImportFrom) and node.module in names | {"aevb"}:
            for alias in node.names:
                submodule = f"{node.module}.{alias.name}"
                yield submodule if submodule in names else str(node.module)


def _typing_blocks(tree: ast.Module) -> list[ast.If]:
    blocks = (node for node in ast.walk(tree) if isinstance(node, ast.If))
    return [block for block in blocks if isinstance(block.test, ast.Name) and block.test.id == "TYPE_CHECKING"]


def cycles(sources: dict[str, str]) -> list[list[str]]:
    """Return the groups of modules that import each other, imports inside functions included.

    Imports for type checking alone and the lazy table of `aevb/__init__.py` do not count.
    """
    graph = {
        name: set(imported(source, set(sources), type_checking=False)) - {name, "aevb"}
        for name, source in sources.items()
        if name != "aevb"
    }
    return [group for group in _components(graph) if len(group) > 1]


def _components(graph: dict[str, set[str]]) -> list[list[str]]:
    """Return the strongly connected components of a graph (Tarjan 1972)."""
    sys.setrecursionlimit(10_000)
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    components: list[list[str]] = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for successor in graph.get(node, ()):
            if successor not in index:
                visit(successor)
                low[node] = min(low[node], low[successor])
            elif successor in stack:
                low[node] = min(low[node], index[successor])
        if low[node] == index[node]:
            component = stack[stack.index(node) :]
            del stack[stack.index(node) :]
            components.append(sorted(component))

    for node in graph:
        if node not in index:
            visit(node)
    return components


def counts(package: Path = PACKAGE) -> dict[str, object]:
    """Return all counts by what they count."""
    sources = modules(package)
    text = "\n".join(sources.values())
    lengths = [length for source in sources.values() for length in function_lengths(source)]
    top = {path.relative_to(package).parts for path in package.rglob("*") if "__pycache__" not in path.parts}
    entries = {parts[0] for parts in top} - {"__init__.py", "__main__.py"}
    return {
        "folders at the top": len({parts[0] for parts in top if len(parts) > 1}),
        "modules at the top": sum(name.endswith(".py") for name in entries),
        "modules": len(sources),
        f"modules over {LONG} lines": sorted(name for name, source in sources.items() if source.count("\n") > LONG),
        "functions": len(lengths),
        "median length of a function": median(lengths),
        "90th percentile": quantiles(lengths, n=10)[-1],
        "imports inside functions": sum(map(local_imports, sources.values())),
        "Any": sum(map(uses_of_any, sources.values())),
        "type: ignore": text.count("type: ignore"),
        "import cycles": cycles(sources),
    }


if __name__ == "__main__":
    for what, count in counts(Path(sys.argv[1]) if len(sys.argv) > 1 else PACKAGE).items():
        print(f"{what:30} {count}")
