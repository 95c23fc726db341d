"""One node at a time for a folder of journals: two would take each other's live calls for crashed ones."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from pathlib import Path
from types import TracebackType

NAME = ".lock"
TRIES, PAUSE_S = 3, 0.05


class FolderBusy(OSError):
    """Another process has the folder; ``holder`` is what it told of itself."""

    def __init__(self, folder: Path, holder: str) -> None:
        super().__init__(f"{folder} belongs to {holder or 'another process'}")
        self.holder = holder


class FolderLock:
    """The lock of a folder, held until :meth:`release` or the end of the process, however it ends."""

    def __init__(self, folder: Path, holder: str = "") -> None:
        """Take it; the folder is made. Raises :class:`FolderBusy`, or OSError.

        ``holder`` is told to whoever finds it taken.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self._file: int | None = os.open(folder / NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            _take(self._file)
        except BlockingIOError:
            told = os.pread(self._file, 200, 0).decode("utf-8", "replace").strip()
            self.release()
            raise FolderBusy(folder, told) from None
        except OSError:
            self.release()
            raise
        with contextlib.suppress(OSError):  # a full disk is no reason to have no lock
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, f"{holder}\n".encode(), 0)

    def release(self) -> None:
        """Give it back. Harmless when repeated."""
        file, self._file = self._file, None
        if file is not None:
            os.close(file)

    def __enter__(self) -> FolderLock:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def _take(file: int) -> None:
    """Lock; who only looks has the lock for a moment, and is waited for."""
    for _ in range(TRIES):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(PAUSE_S)
        else:
            return
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def holder_of(folder: Path) -> str | None:
    """Return who has a folder's lock (empty: nobody knows who); None when nobody does."""
    try:
        file = os.open(folder / NAME, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return os.pread(file, 200, 0).decode("utf-8", "replace").strip()
    except OSError:
        return None
    finally:
        os.close(file)
    return None
