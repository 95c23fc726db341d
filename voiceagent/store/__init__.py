"""The database: users and keys, the audit log, ended calls to search, tags, presets, webhooks to deliver.

The journals are the truth about calls; what stands here of them is an index (docs/architecture.md). Nothing
on the way of a call waits for the database.
"""

from __future__ import annotations

from voiceagent.store.database import Database, DatabaseDown, WorkRefused

__all__ = ["Database", "DatabaseDown", "WorkRefused"]
