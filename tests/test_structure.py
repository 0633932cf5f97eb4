"""The package stays shallow, its modules short and free of cycles; `python -m tests.structure` prints the counts."""

import pytest

from tests.structure import counts, cycles, imported, local_imports


@pytest.fixture(scope="module")
def structure() -> dict[str, object]:
    return counts()


@pytest.mark.parametrize(
    ("what", "limit"),
    [
        ("folders at the top", 13),
        ("modules at the top", 7),
        ("median length of a function", 5),
        ("90th percentile", 18),
        ("imports inside functions", 45),
        ("Any", 80),
        ("type: ignore", 8),
    ],
)
def test_counts_stay_below_their_limits(structure: dict[str, object], what: str, limit: int) -> None:
    count = structure[what]
    assert isinstance(count, int | float)
    assert count <= limit


def test_at_most_three_modules_are_long(structure: dict[str, object]) -> None:
    long = structure["modules over 400 lines"]
    assert isinstance(long, list)
    assert len(long) <= 3, long


def test_no_modules_import_each_other(structure: dict[str, object]) -> None:
    assert structure["import cycles"] == []


def test_a_cycle_through_a_function_is_found() -> None:
    sources = {"aevb.a": "def f():\n    from aevb import b", "aevb.b": "import aevb.a", "aevb.c": "import aevb.a"}
    assert cycles(sources) == [["aevb.a", "aevb.b"]]


def test_imports_for_type_checking_make_no_cycle() -> None:
    source = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from aevb import b"
    assert list(imported(source, {"aevb.b"}, type_checking=False)) == []
    assert list(imported(source, {"aevb.b"})) == ["aevb.b"]


def test_imports_inside_functions_are_counted_once() -> None:
    assert local_imports("import a\ndef f():\n    import b\n    def g():\n        import c\n") == 2
