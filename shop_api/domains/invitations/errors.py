"""What invitations refuse."""

from shop_api.kernel.errors import DomainError, ErrorKind, conflict

INVALID_INVITATION = DomainError(
    ErrorKind.UNAUTHENTICATED,
    "invalid_invitation",
    "The invitation is unknown, expired, accepted or revoked. Ask for a new one.",
)
INVITATION_ACCEPTED = conflict(
    "invitation_accepted", "The invitation was accepted already; change the user instead."
)
EMAIL_TAKEN = conflict("email_taken", "A user with this e-mail address exists already.")

CONSTRAINTS = {
    "uq_invitations_open": conflict(
        "already_invited",
        "This e-mail address has an open invitation. Revoke it, then invite again.",
    ),
}
