"""What the console needs of outgoing webhooks. (The store has the deliveries; this has who delivers.)"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol


class OutgoingWebhooks(Protocol):
    """The receivers of the settings."""

    def endpoints(self) -> Sequence[Mapping[str, Any]]:
        """How each stands: name, url (host only), events, state, last_error (see ``EndpointModel``)."""
        ...

    def wake(self, endpoint: str) -> bool:
        """Something waits for ``endpoint``; False when it is not in the settings."""
        ...
