"""Discounts, tax, shipping and exchange rates over HTTP."""

from typing import Any
from uuid import UUID

from sqlalchemy import Row

from shop_api.domains.pricing import service
from shop_api.domains.pricing.repository import (
    DISCOUNT,
    EXCHANGE_RATE,
    SHIPPING_RATE,
    TAX_RATE,
    Noun,
    PricingRepository,
)
from shop_api.domains.pricing.schemas import (
    DiscountBody,
    DiscountChanges,
    DiscountPage,
    DiscountQuery,
    DiscountSchema,
    ExchangeRateBody,
    ExchangeRatePage,
    ExchangeRateQuery,
    ExchangeRateSchema,
    ShippingRateBody,
    ShippingRateChanges,
    ShippingRatePage,
    ShippingRateSchema,
    TaxRateBody,
    TaxRateChanges,
    TaxRatePage,
    TaxRateQuery,
    TaxRateSchema,
)
from shop_api.kernel.errors import not_found
from shop_api.web.blueprint import Blueprint, Call
from shop_api.web.pagination import SmallListQuery
from shop_api.web.reply import Reply

discounts = Blueprint(
    "discounts",
    __name__,
    url_prefix="/api/v1/discounts",
    description="Discount codes, and discounts that apply by themselves.",
)
tax_rates = Blueprint(
    "tax_rates",
    __name__,
    url_prefix="/api/v1/tax_rates",
    description="Taxes by place and class of product.",
)
shipping_rates = Blueprint(
    "shipping_rates",
    __name__,
    url_prefix="/api/v1/shipping_rates",
    description="What sending an order costs.",
)
exchange_rates = Blueprint(
    "exchange_rates",
    __name__,
    url_prefix="/api/v1/exchange_rates",
    description="What other currencies are worth in the shop's.",
)


@discounts.read("", scope="pricing:read", query=DiscountQuery, returns=DiscountPage)
def list_discounts(call: Call) -> Reply:
    """List discounts, newest first."""
    return _page(call, DISCOUNT)


@discounts.read("/<id:discount_id>", scope="pricing:read", returns=DiscountSchema)
def get_discount(call: Call, discount_id: UUID) -> Reply:
    """Get a discount."""
    return _resource(call, DISCOUNT, discount_id)


@discounts.mutation(
    "POST", "", scope="pricing:write", body=DiscountBody, returns=DiscountSchema, status=201
)
def create_discount(call: Call) -> Reply:
    """Create a discount.

    With a code, an order gets it by sending the code in `discount_codes`. Without, it applies by
    itself: of all such discounts an order gets the one that saves the most.
    """
    return Reply.created(service.create(call.work, DISCOUNT, call.body), "/api/v1/discounts")


@discounts.mutation(
    "PATCH",
    "/<id:discount_id>",
    scope="pricing:write",
    body=DiscountChanges,
    returns=DiscountSchema,
)
def update_discount(call: Call, discount_id: UUID) -> Reply:
    """Change some fields of a discount. Orders placed keep what it took off."""
    before = _locked(call, DISCOUNT, discount_id)
    return Reply.resource(service.change(call.work, DISCOUNT, before, call.body))


@discounts.mutation("DELETE", "/<id:discount_id>", scope="pricing:write")
def delete_discount(call: Call, discount_id: UUID) -> Reply:
    """Delete a discount. Orders placed keep what it took off."""
    service.delete(call.work, DISCOUNT, _locked(call, DISCOUNT, discount_id))
    return Reply.empty()


@tax_rates.read("", scope="pricing:read", query=TaxRateQuery, returns=TaxRatePage)
def list_tax_rates(call: Call) -> Reply:
    """List tax rates, newest first."""
    return _page(call, TAX_RATE)


@tax_rates.read("/<id:tax_rate_id>", scope="pricing:read", returns=TaxRateSchema)
def get_tax_rate(call: Call, tax_rate_id: UUID) -> Reply:
    """Get a tax rate."""
    return _resource(call, TAX_RATE, tax_rate_id)


@tax_rates.mutation(
    "POST", "", scope="pricing:write", body=TaxRateBody, returns=TaxRateSchema, status=201
)
def create_tax_rate(call: Call) -> Reply:
    """Create a tax rate.

    Of the rates of a product's tax class all that fit the shipping address apply, their sum once:
    those of the country, and those of its region. Prices hold their tax already where the tenant
    says `prices_include_tax`.
    """
    return Reply.created(service.create(call.work, TAX_RATE, call.body), "/api/v1/tax_rates")


@tax_rates.mutation(
    "PATCH",
    "/<id:tax_rate_id>",
    scope="pricing:write",
    body=TaxRateChanges,
    returns=TaxRateSchema,
)
def update_tax_rate(call: Call, tax_rate_id: UUID) -> Reply:
    """Change some fields of a tax rate. Orders placed keep their taxes."""
    before = _locked(call, TAX_RATE, tax_rate_id)
    return Reply.resource(service.change(call.work, TAX_RATE, before, call.body))


@tax_rates.mutation("DELETE", "/<id:tax_rate_id>", scope="pricing:write")
def delete_tax_rate(call: Call, tax_rate_id: UUID) -> Reply:
    """Delete a tax rate. Orders placed keep their taxes."""
    service.delete(call.work, TAX_RATE, _locked(call, TAX_RATE, tax_rate_id))
    return Reply.empty()


@shipping_rates.read("", scope="pricing:read", query=SmallListQuery, returns=ShippingRatePage)
def list_shipping_rates(call: Call) -> Reply:
    """List shipping rates, newest first."""
    return _page(call, SHIPPING_RATE)


@shipping_rates.read("/<id:shipping_rate_id>", scope="pricing:read", returns=ShippingRateSchema)
def get_shipping_rate(call: Call, shipping_rate_id: UUID) -> Reply:
    """Get a shipping rate."""
    return _resource(call, SHIPPING_RATE, shipping_rate_id)


@shipping_rates.mutation(
    "POST", "", scope="pricing:write", body=ShippingRateBody, returns=ShippingRateSchema, status=201
)
def create_shipping_rate(call: Call) -> Reply:
    """Create a shipping rate.

    An order is sent by it when it names it as `shipping_rate_id`. Of kind by_weight it costs its
    price and `price_per_kilogram` for the weight of the variants; one without a weight has none.
    """
    return Reply.created(
        service.create(call.work, SHIPPING_RATE, call.body), "/api/v1/shipping_rates"
    )


@shipping_rates.mutation(
    "PATCH",
    "/<id:shipping_rate_id>",
    scope="pricing:write",
    body=ShippingRateChanges,
    returns=ShippingRateSchema,
)
def update_shipping_rate(call: Call, shipping_rate_id: UUID) -> Reply:
    """Change some fields of a shipping rate. Orders placed keep what they were charged."""
    before = _locked(call, SHIPPING_RATE, shipping_rate_id)
    return Reply.resource(service.change(call.work, SHIPPING_RATE, before, call.body))


@shipping_rates.mutation("DELETE", "/<id:shipping_rate_id>", scope="pricing:write")
def delete_shipping_rate(call: Call, shipping_rate_id: UUID) -> Reply:
    """Delete a shipping rate. Orders placed keep what they were charged."""
    service.delete(call.work, SHIPPING_RATE, _locked(call, SHIPPING_RATE, shipping_rate_id))
    return Reply.empty()


@exchange_rates.read("", scope="pricing:read", query=ExchangeRateQuery, returns=ExchangeRatePage)
def list_exchange_rates(call: Call) -> Reply:
    """List exchange rates, that which takes effect last first."""
    return _page(call, EXCHANGE_RATE)


@exchange_rates.read("/<id:exchange_rate_id>", scope="pricing:read", returns=ExchangeRateSchema)
def get_exchange_rate(call: Call, exchange_rate_id: UUID) -> Reply:
    """Get an exchange rate."""
    return _resource(call, EXCHANGE_RATE, exchange_rate_id)


@exchange_rates.mutation(
    "POST", "", scope="pricing:write", body=ExchangeRateBody, returns=ExchangeRateSchema, status=201
)
def create_exchange_rate(call: Call) -> Reply:
    """Say what a currency is worth in the shop's from an instant on.

    Orders in it keep the newest rate that was effective when they were placed, and figures are
    converted at that. An order that is imported later gets it, too; one that is there already
    keeps what it has, so the rates come before the orders.
    """
    body = {"effective_at": call.now, **call.body}
    made = service.create(call.work, EXCHANGE_RATE, body)
    return Reply.created(made, "/api/v1/exchange_rates")


@exchange_rates.mutation("DELETE", "/<id:exchange_rate_id>", scope="pricing:write")
def delete_exchange_rate(call: Call, exchange_rate_id: UUID) -> Reply:
    """Delete an exchange rate. Orders placed keep theirs."""
    service.delete(call.work, EXCHANGE_RATE, _locked(call, EXCHANGE_RATE, exchange_rate_id))
    return Reply.empty()


def _page(call: Call, noun: Noun) -> Reply:
    asked = call.page_request(noun.sort, is_descending=True)
    pricing = PricingRepository(call.session)
    page = pricing.list_page(noun, call.query, asked)
    total = pricing.count(noun, call.query) if call.wants_total else None
    return call.page(page, asked, total)


def _resource(call: Call, noun: Noun, row_id: UUID) -> Reply:
    row = PricingRepository(call.session).find(noun, row_id)
    if row is None:
        raise not_found(noun.words)
    return Reply.resource(row)


def _locked(call: Call, noun: Noun, row_id: UUID) -> Row[Any]:
    before = PricingRepository(call.session).find(noun, row_id, for_update=True)
    if before is None:
        raise not_found(noun.words)
    call.require_version(before.version)
    return before
