"""What changing people refuses."""

from shop_api.kernel.errors import DomainError, ErrorKind, conflict

LAST_OWNER = conflict(
    "last_owner", "The tenant would have no owner left. Make another user an owner first."
)

CONSTRAINTS = {
    "uq_users_tenant_id_email": conflict(
        "email_taken", "A user with this e-mail address exists already.", "/email"
    ),
}


def role_too_strong(role: str) -> DomainError:
    """A role that may do more than the caller."""
    return DomainError(
        ErrorKind.FORBIDDEN,
        "role_not_allowed",
        f"The role {role} may do more than this credential; ask somebody who has it.",
    )
