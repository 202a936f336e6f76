"""Tenants over HTTP."""

from uuid import UUID

from shop_api.domains.tenants import service
from shop_api.domains.tenants.repository import (
    TENANTS_BY_CREATED_AT,
    TenantDirectory,
    TenantRepository,
)
from shop_api.domains.tenants.schemas import (
    PlanPatch,
    TenantBody,
    TenantPage,
    TenantPatch,
    TenantQuery,
    TenantSchema,
)
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


@tenants.read("/tenants", scope=PLATFORM, query=TenantQuery, returns=TenantPage)
def list_tenants(call: Call) -> Reply:
    """List tenants, newest first."""
    asked = call.page_request(TENANTS_BY_CREATED_AT, is_descending=True)
    directory = TenantDirectory(call.session)
    page = directory.list_page(call.query, asked)
    total = directory.count(call.query) if call.wants_total else None
    return call.page(page, asked, total)


@tenants.read("/tenants/<id:tenant_id>", scope=PLATFORM, returns=TenantSchema)
def find_tenant(call: Call, tenant_id: UUID) -> Reply:
    """Get any tenant."""
    row = TenantDirectory(call.session).find(tenant_id)
    if row is None:
        raise not_found("tenant")
    return Reply.resource(row)


@tenants.mutation(
    "PATCH", "/tenants/<id:tenant_id>", scope=PLATFORM, body=PlanPatch, returns=TenantSchema
)
def change_plan(call: Call, tenant_id: UUID) -> Reply:
    """Change the plan of a tenant, and the limits it has of its own.

    Both hold within a second. Of `rate_limits` those that are named change; null gives one back to
    the plan. The tenant's audit log tells of it.
    """
    with call.work.as_tenant(tenant_id) as work:
        row = work.repository(TenantRepository).find(for_update=True)
        if row is None:
            raise not_found("tenant")
        call.require_version(row.version)
        named = {name: value for name, value in call.body.items() if value}
        changed = service.change_tenant(work, named, row)
    return Reply.resource(changed)


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
