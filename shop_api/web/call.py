"""One call of an endpoint: who asks, for what, with which means.

Belongs here: what a view gets. Does not: how it is routed and checked (blueprint.py).
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from shop_api.db.keyset import KeysetPage, PageRequest, Sort
from shop_api.db.tenancy import TenantSession
from shop_api.kernel.errors import DomainError, ErrorKind
from shop_api.kernel.etag import matches_version, why_no_match
from shop_api.kernel.exchange import Exchange
from shop_api.kernel.principal import Principal
from shop_api.spine.unit_of_work import Origin, UnitOfWork
from shop_api.web.pagination import CursorSigner, page_body, page_request
from shop_api.web.reply import Reply
from shop_api.web.services import Services


@dataclass(slots=True)
class Call:
    """The arguments of a view besides the ids of its path."""

    services: Services
    exchange: Exchange
    query: dict[str, Any]
    body: dict[str, Any]
    # set by the route before the view runs
    tenant_session: TenantSession | None = None
    unit_of_work: UnitOfWork | None = None

    @property
    def principal(self) -> Principal:
        """The checked credential; a public endpoint may have none."""
        if self.exchange.principal is None:
            raise DomainError(ErrorKind.UNAUTHENTICATED, "unauthenticated", "Credentials needed.")
        return self.exchange.principal

    @property
    def session(self) -> TenantSession:
        """The tenant's transaction."""
        if self.tenant_session is None:
            raise RuntimeError("this endpoint has no tenant session")
        return self.tenant_session

    @property
    def work(self) -> UnitOfWork:
        """The mutation's unit of work."""
        if self.unit_of_work is None:
            raise RuntimeError("this endpoint is no mutation")
        return self.unit_of_work

    @property
    def tenant_id(self) -> UUID:
        """The tenant of the credential; never taken from the request."""
        return self.principal.tenant_id

    @property
    def now(self) -> datetime:
        """When the request came."""
        return self.exchange.started_at

    def origin(self, tenant_id: UUID, actor: str) -> Origin:
        """Where the changes of this call come from."""
        return Origin(tenant_id, actor, self.exchange.request_id, self.now)

    def require_version(self, version: int) -> None:
        """412 when If-Match names another version than the row has."""
        header = self.exchange.header("IF_MATCH")
        if header is not None and not matches_version(header, version):
            raise DomainError(
                ErrorKind.PRECONDITION_FAILED,
                "precondition_failed",
                why_no_match(header, "If-Match", "resource"),
            )

    @property
    def wants_total(self) -> bool:
        """Whether a list's rows are to be counted; a page by offset says how many there are."""
        return "offset" in self.query or bool(self.query.get("include_total"))

    def page_request(self, sort: Sort, *, is_descending: bool) -> PageRequest:
        """The page asked for by the query."""
        return page_request(self.query, sort, self.signer(), is_descending)

    def page(self, page: KeysetPage, asked: PageRequest, total: int | None = None) -> Reply:
        """The answer of a list."""
        body, headers = page_body(page, asked, self.query, self.signer(), total)
        return Reply(body, headers=headers)

    def signer(self) -> CursorSigner:
        """What makes and opens the cursors of this list."""
        return CursorSigner(self.services.secret_keys, self.tenant_id, self.exchange.path)
