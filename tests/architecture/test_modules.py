"""Files say what belongs in them, stay small and carry a name that says what they hold."""

import ast
import re
import sys

from tests.architecture.sources import ROOT, Source, sources

FILE_LINES = 400
FUNCTION_LINES = 70
EMPTY_NAMES = {"util", "utils", "helper", "helpers", "common", "misc", "stuff", "lib", "shared"}
DOMAIN_FILES = {
    "__init__.py",
    "endpoints.py",
    "errors.py",
    "repository.py",
    "schemas.py",
    "service.py",
    "tasks.py",
}


def test_a_file_is_parsed_once_for_all_rules() -> None:
    by_path = {source.path: source for source in sources()}
    assert all(by_path[source.path] is source for source in sources("shop_api"))
    assert sources() is sources()


def test_every_module_opens_with_a_docstring() -> None:
    silent = [
        str(source.path)
        for source in sources()
        if not ast.get_docstring(source.tree) and not _is_empty_package_file(source)
    ]
    assert not silent


def _is_empty_package_file(source: Source) -> bool:
    is_bare_folder = not source.is_product or source.path.parts[:2] == ("migrations", "versions")
    return source.path.name == "__init__.py" and not source.text.strip() and is_bare_folder


def test_public_functions_and_classes_say_what_they_do() -> None:
    silent = [
        f"{source.path}:{node.lineno} {node.name}"
        for source in sources()
        if source.is_product and source.path.parts[0] != "migrations"
        for node in source.tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        and not node.name.startswith("_")
        and not ast.get_docstring(node)
    ]
    assert not silent


def test_files_are_short() -> None:
    lengths = {str(source.path): len(source.text.splitlines()) for source in sources()}
    assert {path: n for path, n in lengths.items() if n > FILE_LINES} == {}


def test_functions_are_short() -> None:
    lengths = {
        f"{source.path}:{function.lineno} {function.name}": function.end_lineno
        - function.lineno
        + 1
        for source in sources()
        for function in source.functions()
        if function.end_lineno is not None
    }
    assert {name: n for name, n in lengths.items() if n > FUNCTION_LINES} == {}


def test_no_file_is_named_after_nothing() -> None:
    nameless = [
        str(source.path)
        for source in sources()
        for part in source.path.with_suffix("").parts
        if EMPTY_NAMES & set(re.split(r"_+", part))
    ]
    assert not nameless


def test_a_domain_holds_only_its_six_kinds_of_file() -> None:
    folder = ROOT / "shop_api" / "domains"
    strange = [
        str(path.relative_to(folder))
        for domain in folder.iterdir()
        if domain.is_dir() and domain.name != "__pycache__"
        for path in domain.iterdir()
        if path.name not in DOMAIN_FILES | {"__pycache__"}
    ]
    assert not strange


def test_the_kernel_needs_only_the_standard_library() -> None:
    foreign = [
        f"{source.path}: {name}"
        for source in sources("shop_api/kernel")
        for name in source.imports()
        if name.split(".")[0] not in sys.stdlib_module_names
        and not name.startswith("shop_api.kernel")
    ]
    assert not foreign


def test_only_the_clock_reads_the_time() -> None:
    """`now` is an argument: only the edges read the clock, and they read this one."""
    readers = [
        f"{source.path}:{node.lineno}"
        for source in sources("analytics", "pipelines", "shop_api")
        if str(source.path) != "shop_api/kernel/clock.py"
        for node in source.nodes
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in {"now", "utcnow", "today"}
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id in {"datetime", "date"}
    ]
    assert not readers
