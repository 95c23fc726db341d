"""Users and keys between the database and the policy: brought up to date, changed, signed in."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeVar

from voiceagent.console.auth import FIRST_RUN, Policy
from voiceagent.console.credentials import Principal
from voiceagent.console.problems import Problem
from voiceagent.errors import RequestRefused
from voiceagent.store import Database, DatabaseDown, users
from voiceagent.store.users import ApiKey, User

if TYPE_CHECKING:
    from sqlalchemy import Connection

_log = logging.getLogger("voiceagent.console")

REFRESH_S = 5.0
"""How soon a change made elsewhere (the CLI, another node) is seen here."""
HASHES_AT_ONCE = 2
"""Argon2 takes 64 MiB and some tens of ms each."""
WAITING = 8
"""So many more may wait for it, about a second; whoever comes then is told to come back."""

Result = TypeVar("Result")


class Identity:
    """Without a database there are only the tokens of the settings."""

    def __init__(self, policy: Policy, database: Database | None) -> None:
        self._policy = policy
        self._database = database
        self._hashing = asyncio.Semaphore(HASHES_AT_ONCE)
        self._wanting = 0

    async def refresh(self) -> None:
        """Read users and keys; write down when keys were used. Raises DatabaseDown."""
        if self._database is None:
            return
        used = self._policy.credentials.take_used()

        def read(connection: Connection) -> tuple[list[User], list[tuple[str, ApiKey]]]:
            users.note_uses(connection, used)
            return list(users.list_users(connection)), list(users.keys_by_hash(connection))

        found, keys = await self._database.run(read)
        self._policy.credentials.load(found, keys)
        if any(user.role == "admin" and not user.disabled for user in found):
            self._policy.credentials.drop_token(FIRST_RUN)

    async def keep_fresh(self) -> None:
        """Refresh until cancelled; while the database is away what is known stays good."""
        while True:
            try:
                await self.refresh()
            except DatabaseDown as down:
                _log.warning("console: users and keys cannot be read: %s", down)
            await asyncio.sleep(REFRESH_S)

    async def change(self, work: Callable[[Connection], Result]) -> Result:
        """Change users or keys, and know it at once. Raises DatabaseDown, and what ``work`` raises."""
        result = await self.read(work)
        await self.refresh()
        return result

    async def read(self, work: Callable[[Connection], Result]) -> Result:
        """Ask the database. Raises DatabaseDown."""
        if self._database is None:
            raise DatabaseDown("there is no database")
        return await self._database.run(work)

    async def by_password(self, name: str, password: str) -> Principal | None:
        """Return the user, when this is the password. Takes as long for a name that nobody has.

        Raises the 503 when too many ask at once.
        """
        found = None
        if self._database is not None:
            found = await self._database.run(lambda connection: users.user_by_name(connection, name))
        async with self._turn():
            right = await asyncio.to_thread(users.password_is, password, None if found is None else found[1])
        if not right or found is None:
            return None
        await self.refresh()
        return self._policy.credentials.user(found[0].id)

    @asynccontextmanager
    async def _turn(self) -> AsyncGenerator[None]:
        """Wait for one's turn to hash; raises the 503 when too many do."""
        if self._wanting >= HASHES_AT_ONCE + WAITING:
            words = "Too many passwords are being looked at."
            raise Problem(503, "sign_in_busy", words, headers={"Retry-After": "2"})
        self._wanting += 1
        try:
            async with self._hashing:
                yield
        finally:
            self._wanting -= 1

    async def hashed(self, password: str) -> str:
        """Return a password's hash, made beside the event loop. Raises RequestRefused, and the 503."""
        async with self._turn():
            return await asyncio.to_thread(users.hash_password, password)

    async def change_password(self, visitor_id: str, name: str, current: str, new: str) -> Principal:
        """Change one's own password. Raises RequestRefused naming ``current`` or ``new``."""
        if await self.by_password(name, current) is None:
            raise RequestRefused("current", "is not the password", code="wrong_password")
        try:
            hashed = await self.hashed(new)
        except RequestRefused as refused:
            words = str(refused).removeprefix(f"{refused.field}: ")
            raise RequestRefused("new", words) from None
        await self.change(lambda c: users.change_user(c, visitor_id, password_hash=hashed))
        principal = self._policy.credentials.user(visitor_id)
        assert principal is not None
        return principal
