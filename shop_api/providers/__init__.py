"""Payment providers by name.

Belongs here: which there are. Does not: what one must do (port.py).
"""

from shop_api.providers.manual import ManualProvider
from shop_api.providers.port import PaymentProvider
from shop_api.providers.simulated import SimulatedProvider

PROVIDERS: dict[str, PaymentProvider] = {
    provider.name: provider for provider in (ManualProvider(), SimulatedProvider())
}
