"""Reading a request's input: strict JSON with exact decimals, and errors that name the field.

Belongs here: bytes and parameters → values, or a clear refusal. Does not: the schemas.
"""

import re
from array import array
from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from io import BytesIO
from itertools import accumulate
from typing import Any, NoReturn

import marshmallow
import msgspec
from flask import Request, request
from marshmallow import RAISE, Schema, ValidationError
from webargs.flaskparser import FlaskParser
from webargs.multidictproxy import MultiDictProxy
from werkzeug.datastructures import FileStorage, MultiDict

from shop_api.kernel.errors import DomainError, ErrorKind, FieldError
from shop_api.web.read_only import NOTHING, ReadOnly, read_only

MAX_NESTING = 32
# Each takes some 100 bytes for its two or three in the body. The largest list a mutation takes has
# 1 000 items.
MAX_VALUES = 200_000

# Errors named in one answer; the first are as telling as all.
MAX_ERRORS = 100

UNKNOWN_PARAMETER = "Unknown parameter."
UNKNOWN_FIELD = "Unknown field."

# Fields named where one is unknown: more than any body has, but for a few.
MAX_NAMES = 40

# marshmallow's own sentences that do not say what to send
SENTENCES = {
    "Invalid input type.": "Must be an object.",
    "Not a valid list.": "Must be a list.",
    "Not a valid string.": "Must be text.",
    "Field may not be null.": "Must not be null.",
    "Missing data for required field.": "Missing: it is required.",
}

# One that never ends is taken to the end of the body: to look for its end again from each quote in
# it takes 12 s for 64 KB.
_STRINGS = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z)', re.DOTALL)
_NOT_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[]{}")
# one level down or up, as a signed byte
_STEPS = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")

_decoder = msgspec.json.Decoder(float_hook=Decimal)


class OptionalBody(Schema):
    """A body that may be left out: then it is an empty object."""


class StrictParser(FlaskParser):
    """webargs' parser for this API: unknown names refused, problems instead of aborts."""

    DEFAULT_UNKNOWN_BY_LOCATION: dict[str, str | None] = {
        "json": RAISE,
        "query": RAISE,
        "form": RAISE,
        "files": RAISE,
    }

    def __init__(self) -> None:
        super().__init__()
        # by schema: what it makes of no parameters at all
        self._of_no_query: dict[Any, dict[str, Any]] = {}
        # by schema: what answers have and bodies do not
        self._read_only: dict[Schema, ReadOnly] = {}

    def tell_read_only(self, body: Schema, shown: Schema) -> None:
        """Let a body be told of a field it has seen in the answer, not that nobody knows it."""
        self._read_only[body] = read_only(body, shown)

    def parse(
        self,
        argmap: Any,
        req: Request | None = None,
        *,
        location: str | None = None,
        **options: Any,
    ) -> Any:
        """As webargs does; a request without a query is parsed once per schema: 0.1 ms each."""
        if location != "query":
            return super().parse(argmap, req, location=location, **options)
        sent = (req or request).args
        if not sent:
            return self._no_query(argmap)
        return super().parse(_narrowed(argmap, frozenset(sent)), req, location=location, **options)

    def parse_query(self, schema: Schema, environ: dict[str, Any]) -> dict[str, Any]:
        """The query of a request that Flask does not know of."""
        if environ.get("QUERY_STRING"):
            parsed: dict[str, Any] = self.parse(schema, Request(environ), location="query")
            return parsed
        return self._no_query(schema)

    def _no_query(self, schema: Any) -> dict[str, Any]:
        kept = self._of_no_query.get(schema)
        if kept is None:
            nothing = Request({"REQUEST_METHOD": "GET", "QUERY_STRING": ""})
            kept = super().parse(schema, nothing, location="query")
            self._of_no_query[schema] = kept
        return dict(kept)

    def load_json(self, req: Request, schema: Any) -> Any:
        # clients that always send a Content-Type send it with nothing, too
        if isinstance(schema, OptionalBody) and not req.get_data(cache=True):
            return {}
        return decode_json(req)

    def load_files(self, req: Request, schema: Any) -> Any:
        """The parts of a form; one without a file name is as good: what it holds is its content."""
        parts: MultiDict[str, FileStorage] = MultiDict(req.files)
        for name, text in req.form.items(multi=True):
            parts.add(name, FileStorage(BytesIO(text.encode()), name=name))
        return MultiDictProxy(parts, schema)

    def load_querystring(self, req: Request, schema: Any) -> Any:
        several = [name for name, values in req.args.lists() if len(values) > 1]
        if several:
            _refuse_repeated(several, req.args, _parameters(schema))
        return super().load_querystring(req, schema)

    def handle_error(self, error: ValidationError, req: Request, schema: Any, **_: Any) -> NoReturn:
        by_location = (
            error.messages if isinstance(error.messages, dict) else {"json": error.messages}
        )
        location, messages = next(iter(by_location.items()))
        if location == "query":
            raise parameter_error(messages, _parameters(schema)) from error
        if isinstance(messages, dict):
            self._read_only.get(schema, NOTHING).tell(messages)
        raise body_error(messages, schema) from error


@lru_cache(maxsize=256)
def _narrowed(schema: Schema, sent: frozenset[str]) -> Schema:
    """The schema with only the fields that were sent or that tell of their absence: marshmallow
    takes 0.1 ms to find that twenty filters are not there."""
    known = _parameters(schema)
    if not sent <= known.keys():
        return schema
    names = [
        field.name
        for key, field in known.items()
        if key in sent or field.required or field.load_default is not marshmallow.missing
    ]
    return type(schema)(only=names)


def _parameters(schema: Any) -> dict[str, Any]:
    """The schema's fields by the names they have in a query."""
    return {field.data_key or name: field for name, field in schema.fields.items()}


def _refuse_repeated(several: list[str], sent: Iterable[str], known: dict[str, Any]) -> None:
    """400 for a parameter of one value that is given several, beside those nobody knows."""
    messages = {
        name: ["Given more than once."]
        for name in several
        if name in known and not isinstance(known[name], marshmallow.fields.List)
    }
    if messages:
        unknown = {name: [UNKNOWN_FIELD] for name in sent if name not in known}
        raise parameter_error(messages | unknown, known)


PARSER = StrictParser()


def decode_json(req: Request) -> Any:
    """The JSON body, numbers with a fraction as exact `Decimal`."""
    if req.mimetype != "application/json" and not req.mimetype.endswith("+json"):
        raise DomainError(
            ErrorKind.UNSUPPORTED_MEDIA,
            "unsupported_media_type",
            "Send the body as JSON, with Content-Type: application/json.",
        )
    data = req.get_data(cache=True)
    if not data:
        detail = "The body is empty: send a JSON object."
        raise DomainError(ErrorKind.MALFORMED, "invalid_json", detail)
    _check_structure(data)
    try:
        return _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        reason = str(error).removeprefix("JSON is malformed: ")
        detail = f"The body is not valid JSON: {reason.rstrip('.')}."
        raise DomainError(ErrorKind.MALFORMED, "invalid_json", detail) from error
    except InvalidOperation as error:
        detail = "The body holds a number with an exponent that no number has."
        raise DomainError(ErrorKind.MALFORMED, "invalid_json", detail) from error


def _check_structure(data: bytes) -> None:
    """Refuse bodies that are deep or have many values. All of it runs in C: 10 MB of brackets take
    0.3 s, not 3."""
    brackets, commas = data.count(b"[") + data.count(b"{"), data.count(b",")
    if brackets <= MAX_NESTING and commas < MAX_VALUES:
        return
    # a value has two strings at most, its name and itself; to cut them out takes memory for each
    quotes = data.count(b'"') - data.count(b'\\"')
    bare = _STRINGS.sub(b"", data) if quotes <= 4 * MAX_VALUES else None
    if bare is None or bare.count(b",") + bare.count(b"[") + bare.count(b"{") > MAX_VALUES:
        raise DomainError(
            ErrorKind.MALFORMED,
            "too_many_values",
            f"The body holds more than {MAX_VALUES} values. Send it in parts.",
        )
    steps = bare.translate(_STEPS, _NOT_BRACKETS)
    if max(accumulate(array("b", steps)), default=0) > MAX_NESTING:
        raise DomainError(
            ErrorKind.MALFORMED,
            "nesting_too_deep",
            f"The body is nested deeper than {MAX_NESTING} levels.",
        )


def body_error(messages: Any, schema: Schema | None = None) -> DomainError:
    """422 for a body the schema refuses, one entry per field; None: of one that is to be empty."""
    errors = _flatten(messages, "")[:MAX_ERRORS]
    detail = "The body is not acceptable; `errors` says where and why."
    unknown = next((error.pointer for error in errors if error.detail == UNKNOWN_FIELD), None)
    if unknown is not None:
        known = _fields_beside(unknown, schema) if schema else []
        more = ", …" if len(known) > MAX_NAMES else ""
        detail += f" Unknown field: {unknown}. "
        detail += f"There are: {', '.join(known[:MAX_NAMES])}{more}." if known else "It takes none."
    return DomainError(ErrorKind.INVALID, "validation_failed", detail, errors)


def _fields_beside(pointer: str, schema: Schema) -> list[str]:
    """The fields of the object in which the pointer's last name is."""
    for name in pointer.split("/")[1:-1]:
        # of a list's item the list says what it is
        if not name.isdigit():
            field = _parameters(schema).get(name)
            while isinstance(field, marshmallow.fields.List):
                field = field.inner
            if not isinstance(field, marshmallow.fields.Nested):
                return []
            schema = field.schema
    return [name for name, field in _parameters(schema).items() if not field.dump_only]


def parameter_error(messages: Any, known: Iterable[str] = ()) -> DomainError:
    """400 for a query: `unknown_parameter` when a name is known to nobody, whatever else is wrong
    beside it, `invalid_parameter` when all names are known."""
    schema = marshmallow.exceptions.SCHEMA
    errors = [
        FieldError(
            _name_in(error.pointer),
            UNKNOWN_PARAMETER if error.detail == UNKNOWN_FIELD else error.detail,
        )
        for error in _flatten(messages, "")
        if error.pointer != f"/{schema}"
    ][:MAX_ERRORS]
    unknown = [error.pointer for error in errors if error.detail == UNKNOWN_PARAMETER]
    if unknown:
        return DomainError(
            ErrorKind.MALFORMED,
            "unknown_parameter",
            f"Unknown query parameter: {', '.join(unknown)}. "
            + (f"There are: {', '.join(known)}." if known else "This takes none."),
            errors,
        )
    return DomainError(
        ErrorKind.MALFORMED,
        "invalid_parameter",
        "A query parameter is not acceptable; `errors` says which and why.",
        errors,
    )


def _name_in(pointer: str) -> str:
    """The parameter's name; of a list, which of its values it is does not matter."""
    name = pointer.removeprefix("/").partition("/")[0]
    return name.replace("~1", "/").replace("~0", "~")


def _flatten(messages: Any, pointer: str) -> list[FieldError]:
    """marshmallow's nested messages as (JSON pointer, sentence) pairs."""
    if isinstance(messages, Mapping):
        found: list[FieldError] = []
        for key, value in messages.items():
            name = str(key).replace("~", "~0").replace("/", "~1")
            inner = pointer if key == marshmallow.exceptions.SCHEMA else f"{pointer}/{name}"
            found += _flatten(value, inner)
        return found
    if isinstance(messages, list):
        return [error for message in messages for error in _flatten(message, pointer)]
    return [FieldError(pointer, SENTENCES.get(messages, str(messages)))]
