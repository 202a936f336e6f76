"""Orders over HTTP."""

from datetime import timedelta
from uuid import UUID

from shop_api.domains.customers.repository import CustomerRepository
from shop_api.domains.orders import service
from shop_api.domains.orders.repository import EVENTS_BY_SEQUENCE, ORDER_SORTS, OrderRepository
from shop_api.domains.orders.schemas import (
    EventPage,
    EventQuery,
    HistoryQuery,
    OrderBody,
    OrderChanges,
    OrderPage,
    OrderQuery,
    OrderSchema,
)
from shop_api.kernel.errors import not_found
from shop_api.web.blueprint import Blueprint, Call
from shop_api.web.reply import Reply

orders = Blueprint(
    "orders",
    __name__,
    url_prefix="/api/v1/orders",
    description="Place orders, read them, and see what happened to them.",
)

customer_orders = Blueprint(
    "customer_orders",
    __name__,
    url_prefix="/api/v1/customers/<id:customer_id>/orders",
    description="What a customer has ordered.",
)


@orders.read("", scope="orders:read", query=OrderQuery, returns=OrderPage)
def list_orders(call: Call) -> Reply:
    """List orders, newest first unless sorted otherwise."""
    asked = call.page_request(ORDER_SORTS[call.query.get("sort", "placed_at")], is_descending=True)
    repository = OrderRepository(call.session)
    page = repository.list_page(call.query, asked)
    total = repository.count(call.query) if call.wants_total else None
    return call.page(page, asked, total)


@orders.read("/<id:order_id>", scope="orders:read", returns=OrderSchema)
def get_order(call: Call, order_id: UUID) -> Reply:
    """Get an order with its lines and payments."""
    row = OrderRepository(call.session).find(order_id)
    if row is None:
        raise not_found("order")
    return Reply.resource(row)


@orders.mutation("POST", "", scope="orders:write", body=OrderBody, returns=OrderSchema, status=201)
def place_order(call: Call) -> Reply:
    """Place an order.

    Prices come from the catalogue and stock is held at once: 409 `out_of_stock` when there is not
    enough of something, and then nothing is held. Its `errors` name the lines, and with the scope
    `inventory:read` how much one location has. The automatic discount that saves the most comes
    off first, then each of `discount_codes`: 409 `discount_not_applicable` says which cannot be
    used and why. All units of a variant come from one location, the default one if it has enough:
    stock is not put together from several, so what a product has available, which is the sum of its
    locations, may be more than one order can take. An order that comes to 0 is paid: it is
    processing, and nothing is held for a time.
    """
    hold = timedelta(seconds=call.services.settings.order_hold_seconds)
    shows_stock = "inventory:read" in call.principal.scopes
    order_id = service.place_order(call.work, call.body, hold, shows_stock=shows_stock)
    return Reply.numbered(order_id, "/api/v1/orders")


@orders.mutation(
    "PATCH", "/<id:order_id>", scope="orders:write", body=OrderChanges, returns=OrderSchema
)
def update_order(call: Call, order_id: UUID) -> Reply:
    """Change an order's note, addresses or external_id."""
    before = service.lock_order(call.work, order_id)
    call.require_version(before.version)
    return Reply.resource(service.change_order(call.work, before, call.body))


@customer_orders.read("", scope="orders:read", query=HistoryQuery, returns=OrderPage)
def list_customer_orders(call: Call, customer_id: UUID) -> Reply:
    """List a customer's orders, newest first unless sorted otherwise."""
    if not CustomerRepository(call.session).exists(customer_id):
        raise not_found("customer")
    asked = call.page_request(ORDER_SORTS[call.query.get("sort", "placed_at")], is_descending=True)
    filters = {**call.query, "customer_id": customer_id}
    repository = OrderRepository(call.session)
    page = repository.list_page(filters, asked)
    total = repository.count(filters) if call.wants_total else None
    return call.page(page, asked, total)


@orders.read("/<id:order_id>/events", scope="orders:read", query=EventQuery, returns=EventPage)
def list_order_events(call: Call, order_id: UUID) -> Reply:
    """List what happened to an order, from its first event on."""
    asked = call.page_request(EVENTS_BY_SEQUENCE, is_descending=False)
    repository = OrderRepository(call.session)
    if not repository.exists(order_id):
        raise not_found("order")
    page = repository.list_events(order_id, asked)
    total = repository.count_events(order_id) if call.wants_total else None
    return call.page(page, asked, total)
