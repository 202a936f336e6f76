"""The repository's Python files, parsed once for all the rules that hold for them.

Belongs here: reading and walking files. Does not: the rules. To parse all takes 4 s.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

ROOT = Path(__file__).parents[2]
PRODUCT = ("analytics", "migrations", "pipelines", "shop_api")
FOLDERS = (*PRODUCT, "benchmarks", "tests")

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Source:
    """One file; `path` is relative to the repository."""

    path: Path

    @cached_property
    def text(self) -> str:
        return (ROOT / self.path).read_text(encoding="utf-8")

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @cached_property
    def nodes(self) -> tuple[ast.AST, ...]:
        """All that is in the tree."""
        return tuple(ast.walk(self.tree))

    @property
    def is_product(self) -> bool:
        return self.path.parts[0] in PRODUCT

    def functions(self) -> Iterator[Function]:
        """Every function and method, nested ones too."""
        for node in self.nodes:
            if isinstance(node, Function):
                yield node

    def imports(self) -> Iterator[str]:
        """The full name of every imported module."""
        for node in self.nodes:
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                yield node.module


@cache
def sources(*folders: str) -> tuple[Source, ...]:
    """All files below the folders (every folder of the repository unless told)."""
    return tuple(
        source_at(path.relative_to(ROOT))
        for folder in folders or FOLDERS
        for path in sorted((ROOT / folder).rglob("*.py"))
    )


@cache
def source_at(path: Path) -> Source:
    """The one of a file: it is in several sets of folders."""
    return Source(path)
