"""A real redis-server on a free port of 127.0.0.1, without persistence, to be frozen and killed."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.kit.ports import free_port

READY_S = 30.0


class RedisServer:
    """One server; :meth:`start` after :meth:`kill` gives an empty one on the same port."""

    def __init__(self, folder: Path, words: Sequence[str] = ()) -> None:
        found = shutil.which("redis-server")
        if found is None:
            pytest.skip("redis-server is not installed: scripts/setup test does it")
        self._command = found
        self._folder = folder
        self._words = words
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start it, wait until it answers."""
        command = [self._command, "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self._folder)]
        command += ["--save", "", "--appendonly", "no", "--logfile", "redis.log", *self._words]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        end = time.monotonic() + READY_S
        while not self._answers():
            if time.monotonic() > end or self._process.poll() is not None:
                raise RuntimeError(f"redis-server does not start: {self._log()}")
            time.sleep(0.01)

    def stop_answering(self) -> None:
        """Freeze it: connections stand, nobody answers (SIGSTOP)."""
        self._signal(signal.SIGSTOP)

    def answer_again(self) -> None:
        """Thaw it."""
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it at once; all it knew is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def tell(self, *words: str) -> bytes:
        """Send one command over a connection of its own, return the first piece of the reply."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=READY_S) as line:
            line.sendall(
                b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w.encode()) for w in words)
            )
            return line.recv(65536)

    def _answers(self) -> bool:
        try:
            return self.tell("PING")[:1] in (b"+", b"-")
        except OSError:
            return False

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def _log(self) -> str:
        log = self._folder / "redis.log"
        return log.read_text()[-500:] if log.exists() else "no log"


@contextmanager
def redis_server(*words: str) -> Iterator[RedisServer]:
    """Run a server with further command-line words."""
    with tempfile.TemporaryDirectory(prefix="redis-") as folder:
        server = RedisServer(Path(folder), words)
        server.start()
        try:
            yield server
        finally:
            server.kill()
