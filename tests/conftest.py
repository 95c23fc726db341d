"""What holds for all tests."""

from __future__ import annotations

import asyncio

# Without this, the first look at "the current event loop" makes one that nobody closes; the first
# asyncio.run() of a test drops it, and whichever test runs at the next garbage collection is blamed.
asyncio.set_event_loop(None)
