"""What clients are told when they are refused: whole sentences, and never Python's own spelling."""

import ast
from collections.abc import Iterator

from tests.architecture.sources import Source, sources

# function → where its sentence is among the arguments
SENTENCE_AT = {"DomainError": 2, "conflict": 1, "invalid": 1, "FieldError": 1, "ValidationError": 0}
# `invalid_parameter` makes a sentence of what analytics says
UNFINISHED = ("shop_api/domains/insights/errors.py",)


def sentences() -> Iterator[tuple[str, ast.expr]]:
    """Each literal sentence of a refusal with its place."""
    for source in sources():
        if source.path.parts[0] != "shop_api" or str(source.path) in UNFINISHED:
            continue
        for call in refusals(source):
            place = SENTENCE_AT[call.func.id]  # type: ignore[attr-defined]
            if place < len(call.args):
                for sentence in choices(call.args[place]):
                    yield f"{source.path}:{sentence.lineno}", sentence


def refusals(source: Source) -> Iterator[ast.Call]:
    for node in source.nodes:
        match node:
            case ast.Call(func=ast.Name(id=name)) if name in SENTENCE_AT:
                yield node


def choices(argument: ast.expr) -> list[ast.expr]:
    """The texts an argument may be; one made elsewhere is looked at there."""
    if isinstance(argument, ast.IfExp):
        return [*choices(argument.body), *choices(argument.orelse)]
    is_text = isinstance(argument, ast.JoinedStr | ast.Constant)
    return [argument] if is_text else []


def ends(sentence: ast.expr) -> tuple[str, str]:
    """How a sentence begins and ends; what is filled in counts as a word."""
    parts = sentence.values if isinstance(sentence, ast.JoinedStr) else [sentence]
    texts = [part.value if isinstance(part, ast.Constant) else "Word" for part in parts]
    return str(texts[0])[:1], str(texts[-1])[-1:]


def test_refusals_are_looked_at() -> None:
    assert len(list(sentences())) > 120


def test_a_refusal_is_a_sentence() -> None:
    cut = [
        f"{place} {ast.unparse(sentence)}"
        for place, sentence in sentences()
        if not (ends(sentence)[0].isupper() or ends(sentence)[0] in "`X")
        or (
            ends(sentence)[1] not in (".", "…")
            and not ast.unparse(sentence).rstrip("'\"").endswith("}")
        )
    ]
    assert cut == []


def test_no_refusal_spells_a_value_as_python_does() -> None:
    spelled = [
        f"{place} {ast.unparse(sentence)}"
        for place, sentence in sentences()
        for part in ast.walk(sentence)
        if isinstance(part, ast.FormattedValue) and part.conversion == ord("r")
    ]
    assert spelled == []
