"""What cancelling takes over HTTP."""

from shop_api.web.fields import Flag, Text
from shop_api.web.parser import OptionalBody


class CancelBody(OptionalBody):
    """Why, and whether the goods can still be sold."""

    reason = Text(max_length=255, allow_none=True, metadata={"example": "Changed their mind"})
    restock = Flag(
        metadata={
            "description": "false: the goods held for it are written off. Default true: they are"
            " free to be sold."
        }
    )
