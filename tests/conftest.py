"""What holds for all tests."""

from __future__ import annotations

import asyncio
import os

from hypothesis import settings

# Without this, the first look at "the current event loop" makes one that nobody closes; the first
# asyncio.run() of a test drops it, and whichever test runs at the next garbage collection is blamed.
asyncio.set_event_loop(None)

# The suite tells the same story every time; HYPOTHESIS_PROFILE=search looks for new ones.
settings.register_profile("suite", derandomize=True, deadline=None, print_blob=True)
settings.register_profile("search", deadline=None, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "suite"))
