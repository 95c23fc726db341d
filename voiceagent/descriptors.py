"""How many open files this process may have: a call needs several, and the usual limit is low."""

from __future__ import annotations

import os


def allowed_descriptors() -> int | None:
    """Return how many :func:`widen_descriptors` can reach; None where there is no such limit."""
    if os.name == "nt":
        return None
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if hard == resource.RLIM_INFINITY else hard


def widen_descriptors() -> None:
    """Raise the soft limit to the hard one, as any process may (setrlimit(2)), where it can."""
    if os.name == "nt":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (OSError, ValueError):
            return
