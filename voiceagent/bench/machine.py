"""On what a bench ran: figures without their machine are none."""

from __future__ import annotations

import contextlib
import os
import platform
import re
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = ("uvloop", "picows", "pybase64", "websockets", "pydantic", "sqlalchemy")


def describe_machine() -> dict[str, Any]:
    """Return ``cpu``, ``cores``, ``memory_gb``, ``system``, ``python``, ``packages`` and ``load_1m`` of now.

    A package that is not installed is None.
    """
    return {
        "cpu": cpu_name(_read("/proc/cpuinfo")) or platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "memory_gb": _memory_gb(_read("/proc/meminfo")),
        "system": f"{platform.system()} {platform.release().partition('-')[0]}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "packages": {name: _version(name) for name in PACKAGES},
        "load_1m": load_now(),
    }


def load_now() -> float | None:
    """Return the load average of the last minute; None where the system does not tell."""
    try:
        return round(os.getloadavg()[0], 2)
    except OSError:
        return None


def cpu_name(cpuinfo: str) -> str:
    """Return the processor's name out of ``/proc/cpuinfo``; virtual ones may have numbers only."""
    found = dict(re.findall(r"(?m)^([^\t:]+?)\s*:\s*(.*?)\s*$", cpuinfo))
    name = found.get("model name", "")
    if name and name != "unknown":
        return name
    numbers = [f"{key} {found[key]}" for key in ("cpu family", "model") if found.get(key)]
    return " ".join([found.get("vendor_id", ""), ", ".join(numbers)]).strip()


def _memory_gb(meminfo: str) -> float | None:
    found = re.search(r"MemTotal:\s+(\d+) kB", meminfo)
    return round(int(found[1]) / 1024**2, 1) if found else None


def _read(path: str) -> str:
    with contextlib.suppress(OSError):
        return Path(path).read_text(encoding="utf-8", errors="replace")
    return ""


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
