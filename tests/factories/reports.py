"""Reports as the worker would write them."""

from datetime import UTC, date, datetime

from shop_api import models
from shop_api.app import App
from shop_api.db.tenancy import tenant_session
from shop_api.kernel.ids import new_id
from tests.fixtures.api import Shop


def make_report(shop: Shop) -> str:
    """A report as the worker would write it."""
    assert isinstance(shop.api.app, App)
    now = datetime.now(UTC)
    report_id = new_id(now)
    values = {"tenant_id": shop.tenant_id, "kind": "daily_sales", "title": "Sales"}
    day = date(2026, 1, 1 + report_id.int % 27)
    with tenant_session(shop.api.app.services.engine, shop.tenant_id) as session:
        session.execute(models.reports.delete())
        session.execute(
            models.reports.insert().values(
                **values,
                id=report_id,
                period_from=day,
                period_to=day.replace(day=day.day + 1),
                snapshot="1",
                as_of=now,
                created_at=now,
            )
        )
        for form in ("html", "csv"):
            session.execute(
                models.report_files.insert().values(
                    tenant_id=shop.tenant_id, report_id=report_id, format=form, content=b"x"
                )
            )
    return str(report_id)
