"""Search over HTTP."""

from shop_api.domains.search import service
from shop_api.domains.search.schemas import SearchAnswerSchema, SearchQuery
from shop_api.kernel.principal import ANY
from shop_api.web.blueprint import Blueprint, Call
from shop_api.web.cache_policies import SEARCH
from shop_api.web.reply import Reply

search = Blueprint(
    "search", __name__, url_prefix="/api/v1/search", description="Find products, customers, orders."
)

DEFAULT_LIMIT = 10


@search.read("", scope=ANY, query=SearchQuery, returns=SearchAnswerSchema, cache=SEARCH)
def search_everything(call: Call) -> Reply:
    """Search products, customers and orders; the best of each first.

    All words must be found, each by its beginning; accents and case do not count. Products are
    found by name, SKU, tags and description, customers by name, e-mail address, telephone and tags,
    orders by number, `external_id` and customer. Each kind needs its scope: `catalog:read`,
    `customers:read`, `orders:read`; without `type` those are searched that the credential may read.
    """
    kinds = service.choose_kinds(call.principal, call.query.get("type"))
    limit = call.query.get("limit", DEFAULT_LIMIT)
    return Reply.of(service.search(call.session, call.principal, kinds, call.query["q"], limit))
