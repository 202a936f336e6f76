"""Tenants over HTTP."""

from shop_api.domains.tenants import service
from shop_api.domains.tenants.repository import TenantRepository
from shop_api.domains.tenants.schemas import TenantBody, TenantPatch, TenantSchema
from shop_api.kernel.errors import not_found
from shop_api.kernel.principal import PLATFORM
from shop_api.web.blueprint import Blueprint, Call
from shop_api.web.reply import Reply

tenants = Blueprint(
    "tenants",
    __name__,
    url_prefix="/api/v1",
    description="The shop itself: name, currency, timezone, origins.",
)


@tenants.mutation(
    "POST", "/tenants", scope=PLATFORM, body=TenantBody, returns=TenantSchema, status=201
)
def create_tenant(call: Call) -> Reply:
    """Create a tenant with its owner.

    The owner then signs in at `/api/v1/auth/login` and creates API keys.
    """
    values = {name: value for name, value in call.body.items() if name != "owner"}
    row = service.create_tenant(call.work, values, call.body["owner"])
    return Reply.resource(row, 201)


@tenants.read("/tenant", scope="tenant:read", returns=TenantSchema)
def get_tenant(call: Call) -> Reply:
    """Get the tenant the credential belongs to."""
    row = TenantRepository(call.session).find()
    if row is None:
        raise not_found("tenant")
    return Reply.resource(row)


@tenants.mutation("PATCH", "/tenant", scope="tenant:write", body=TenantPatch, returns=TenantSchema)
def update_tenant(call: Call) -> Reply:
    """Change some fields of the tenant. Its plan is the platform's to change.

    A new timezone moves day edges: the figures by day are rebuilt within seconds. The currency may
    change until something is priced in it: then 409 `currency_in_use` says what. Of `settings`
    those that are named change.
    """
    row = TenantRepository(call.session).find(for_update=True)
    if row is None:
        raise not_found("tenant")
    call.require_version(row.version)
    return Reply.resource(service.change_tenant(call.work, call.body, row))
