"""What the ticket endpoint gives over HTTP."""

from marshmallow import Schema, fields


class TicketSchema(Schema):
    """A ticket for one connection that listens to events."""

    ticket = fields.String(
        required=True, metadata={"example": "tk_Zb3kQ9xL0sVn2mYt7uPdWcEaHgJrKfQi8oTz5xNvB1M"}
    )
    expires_in = fields.Integer(required=True, metadata={"description": "Seconds.", "example": 60})
