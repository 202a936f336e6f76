"""What images refuse."""

from shop_api.kernel.errors import conflict, invalid
from shop_api.models import MAX_IMAGES

TOO_MANY_IMAGES = conflict(
    "too_many_images", f"A product has at most {MAX_IMAGES} images: delete one."
)
VARIANT_NOT_FOUND = invalid(
    "variant_not_found",
    "The product has no such variant: send the id of one of its `variants`.",
    "/variant_id",
)
