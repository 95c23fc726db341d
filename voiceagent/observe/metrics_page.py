"""``docs/metrics.md``, made from the names. ``python -m voiceagent.observe.metrics_page FILE`` writes it."""

from __future__ import annotations

import sys
from pathlib import Path

from voiceagent.observe.metrics import Metrics

HEAD = """# Metrics

`GET /metrics` of the console: Prometheus' text format. It needs a token or key, unless
`console.metrics_open` is set. `scripts/metrics-table` writes this page, a test holds it to the code.

Times are seconds, shares 0 to 1. A histogram is served as `_bucket{le}`, `_sum` and `_count`. Labels are from
small closed sets; what does not fit counts as `other`. Nothing here names a call, a number or a caller.

`limit` and `limit_reached_total` bear the setting's name: `call.max_calls`, `queues.NAME.max_waiting`,
`trunks.NAME.max_calls`, `media.ports` (the even ports of `media.port_low` to `media.port_high`) … Dashboards
and alerts that are made of all this: [operations.md](operations.md).

| metric | kind | labels | meaning |
|---|---|---|---|
"""


def page() -> str:
    """Return the page."""
    rows = [
        f"| `{one.name}` | {one.kind} | {', '.join(f'`{label}`' for label in one.labels)} | {one.text} |"
        for one in Metrics().names
    ]
    return HEAD + "\n".join(rows) + "\n"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), encoding="utf-8")
