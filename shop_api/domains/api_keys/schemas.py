"""What API keys take and give over HTTP."""

from base64 import b64decode
from typing import Any

from marshmallow import Schema, fields, post_load

from shop_api.kernel.principal import SCOPES
from shop_api.web.fields import BoundedList, Flag, Id, Instant, Text, Whole, matching, one_of
from shop_api.web.pagination import SmallListPage, SmallListQuery
from shop_api.web.parser import OptionalBody

DEFAULT_OVERLAP_SECONDS = 86_400
MAX_OVERLAP_SECONDS = 2_592_000


PUBLIC_KEY = matching(
    r"^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$", "Must be the 32 bytes of an Ed25519 key in base64."
)
FINGERPRINT = matching(r"^[0-9a-f]{64}$", "Must be a SHA-256 in 64 lower-case hexadecimal digits.")


class BindingFields(Schema):
    """What must come with a key: of use to servers that keep a private key."""

    public_key = fields.String(
        allow_none=True,
        validate=PUBLIC_KEY,
        metadata={
            "description": "Ed25519, its 32 bytes in base64: signed requests (RFC 9421) are"
            " verified with it.",
        },
    )
    certificate_fingerprint = fields.String(
        allow_none=True,
        validate=FINGERPRINT,
        metadata={
            "description": "SHA-256 of a client certificate (DER): the key works only with it,"
            " through a proxy that tells certificates.",
        },
    )

    @post_load
    def as_bytes(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Both as Postgres keeps them."""
        for name, decode in (("public_key", b64decode), ("certificate_fingerprint", bytes.fromhex)):
            if data.get(name) is not None:
                data[name] = decode(data[name])
        return data


class ApiKeyBody(BindingFields):
    """A key to create."""

    name = Text(required=True, min_length=1, max_length=100, metadata={"example": "storefront"})
    kind = fields.String(
        load_default="secret",
        validate=one_of("secret", "publishable"),
        metadata={
            "description": "`publishable` keys may only read the public catalogue and send"
            " storefront events."
        },
    )
    scopes = BoundedList(
        fields.String(validate=one_of(*SCOPES)),
        max_length=len(SCOPES),
        metadata={"description": "Default: all the caller has and the kind permits."},
    )
    expires_at = Instant(allow_none=True, load_default=None)
    requires_signature = Flag(
        metadata={"description": "Refuse unsigned requests. Default: true with a `public_key`."}
    )


class ApiKeyChanges(BindingFields):
    """What may be changed of a key."""

    name = Text(min_length=1, max_length=100, metadata={"example": "storefront"})
    scopes = BoundedList(
        fields.String(validate=one_of(*SCOPES)),
        min_length=1,
        max_length=len(SCOPES),
        metadata={"description": "All it may do from now on; at most what the caller may."},
    )
    expires_at = Instant(allow_none=True, metadata={"description": "`null`: never."})
    requires_signature = Flag(metadata={"description": "Refuse unsigned requests."})


class RotationBody(OptionalBody):
    """How a key is rotated."""

    overlap_seconds = Whole(
        minimum=0,
        maximum=MAX_OVERLAP_SECONDS,
        load_default=DEFAULT_OVERLAP_SECONDS,
        metadata={
            "description": "How long the old key still works. Default: a day.",
            "example": 86_400,
        },
    )


class ApiKeySchema(Schema):
    """An API key, without its secret."""

    id = Id(required=True)
    name = fields.String(required=True)
    kind = fields.String(required=True, validate=one_of("secret", "publishable"))
    prefix = fields.String(required=True, metadata={"example": "sk_Zb3kQ9xL"})
    scopes = fields.List(fields.String(), required=True)
    expires_at = Instant(required=True, allow_none=True)
    last_used_at = Instant(required=True, allow_none=True)
    revoked_at = Instant(required=True, allow_none=True)
    public_key = fields.String(required=True, allow_none=True)
    requires_signature = fields.Boolean(required=True)
    certificate_fingerprint = fields.String(required=True, allow_none=True)
    replaced_by = Id(
        required=True,
        allow_none=True,
        metadata={"description": "The key that follows this one since it was rotated."},
    )
    created_at = Instant(required=True)
    updated_at = Instant(required=True)


class NewApiKeySchema(ApiKeySchema):
    """An API key with its secret, shown once."""

    key = fields.String(required=True, metadata={"description": "Keep it; it is not shown again."})


class ApiKeyPage(SmallListPage):
    """A page of API keys."""

    data = fields.List(fields.Nested(ApiKeySchema), required=True)


class ApiKeyQuery(SmallListQuery):
    """Which API keys."""
