"""PURE. Who somebody is: users, keys and the tokens of the settings, held in memory.

The database has the truth; :class:`~voiceagent.console.identity.Identity` brings it here. Times are Unix
seconds.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass

from voiceagent.console.rights import Role
from voiceagent.store.users import ApiKey, User, key_hash


@dataclass(frozen=True, slots=True)
class Principal:
    """Somebody who has proved who they are."""

    kind: str
    """user, key or token."""
    id: str
    name: str
    role: Role
    version: float = 0.0
    """Of a user: changes with the role and the password; a session of another version is over."""


class Credentials:
    """All that is accepted as a proof."""

    def __init__(self, tokens: Sequence[tuple[str, Role, str]]) -> None:
        """``tokens`` are those of the settings: the token, its role, its name."""
        self._tokens = [
            (key_hash(token), Principal("token", name, name, role)) for token, role, name in tokens
        ]
        self._keys: dict[str, ApiKey] = {}
        self._users: dict[str, User] = {}
        self._used: dict[str, float] = {}

    def load(self, users: Sequence[User], keys: Sequence[tuple[str, ApiKey]]) -> None:
        """Take what the database has: users, and keys by their hash."""
        self._users = {user.id: user for user in users}
        self._keys = dict(keys)

    @property
    def any_user(self) -> bool:
        """Whether anybody can sign in by name."""
        return any(not user.disabled for user in self._users.values())

    def is_user(self, name: str) -> bool:
        """Whether a user has this name."""
        return any(user.name == name for user in self._users.values())

    def by_secret(self, secret: str, now: float) -> Principal | None:
        """Return whose key or token this is; None when it is nobody's, or no longer good."""
        shown = key_hash(secret)
        found: Principal | None = None
        # Compared with every token, in constant time, so that timing tells nothing.
        for known, principal in self._tokens:
            if hmac.compare_digest(shown, known):
                found = principal
        if found is not None:
            return found
        key = self._keys.get(shown)
        if (
            key is None
            or key.revoked_at is not None
            or (key.expires_at is not None and key.expires_at <= now)
        ):
            return None
        self._used[key.id] = now
        return Principal("key", key.id, key.name, Role(key.role))

    def take_used(self) -> dict[str, float]:
        """Return when each key was used last, once: for whoever writes it down."""
        used, self._used = self._used, {}
        return used

    def user(self, user_id: str) -> Principal | None:
        """Return a user who may sign in; None for one who is gone or disabled."""
        user = self._users.get(user_id)
        if user is None or user.disabled:
            return None
        return Principal("user", user.id, user.name, Role(user.role), user.changed_at)

    def still(self, principal: Principal, now: float) -> Principal | None:
        """Return ``principal`` as it stands by now; None when it is over."""
        if principal.kind == "user":
            user = self.user(principal.id)
            return user if user is not None and user.version == principal.version else None
        if principal.kind == "token":
            return principal if any(known == principal for _, known in self._tokens) else None
        key = next((one for one in self._keys.values() if one.id == principal.id), None)
        if (
            key is None
            or key.revoked_at is not None
            or (key.expires_at is not None and key.expires_at <= now)
        ):
            return None
        return principal

    def drop_token(self, name: str) -> None:
        """A token is over (the first run's, once there is an admin)."""
        self._tokens = [(known, principal) for known, principal in self._tokens if principal.name != name]
