"""The guide to roles says what each role and scope opens, as the code has it."""

from shop_api.kernel.principal import PUBLISHABLE_SCOPES, ROLE_SCOPES, SCOPES
from tests.architecture.sources import ROOT

GUIDE = ROOT / "docs" / "guides" / "roles.md"


def test_the_table_is_what_roles_may_do() -> None:
    rows = [
        line for line in GUIDE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")
    ]
    columns = [*ROLE_SCOPES, "publishable key"]
    assert rows[0] == f"| scope | opens | {' | '.join(columns)} |"
    allowed = [*ROLE_SCOPES.values(), PUBLISHABLE_SCOPES]
    expected = [
        f"| `{scope}` | {opens} | {' | '.join('✓' if scope in have else '·' for have in allowed)} |"
        for scope, opens in SCOPES.items()
    ]
    assert rows[1:] == expected
