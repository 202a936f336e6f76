"""What an event says to those who read it: what was stored, and personal data as it is now.

Belongs here: the SQL of that. Does not: who may see which part (realtime/frames.py).

Events are never changed, so they hold no personal data: an order's event names the customer, and
the address is looked up when the event is read. Once a customer is erased, past events have none.
"""

# of the event aliased `e`, as jsonb; a number's digits stay as they were stored
EVENT_DATA = """
(CASE WHEN e.type = 'order_created' AND e.data ? 'customer_id'
    THEN e.data || jsonb_build_object('customer_email', (
        SELECT c.email FROM customers c
        WHERE c.tenant_id = e.tenant_id AND c.id = (e.data->>'customer_id')::uuid))
    ELSE e.data END)
"""
