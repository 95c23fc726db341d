"""What this process and the whole machine use: CPU time and memory at one moment."""

from __future__ import annotations

import contextlib
import os
import resource
import time
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Used:
    """What this process, and the machine, had used at one moment."""

    cpu_s: float
    resident_kb: float
    at: float
    machine_s: float
    """CPU time of everyone on the machine; 0 where the system does not say."""


def used_now() -> Used:
    """Return it as of now."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    resident = 0.0
    with contextlib.suppress(OSError), open("/proc/self/statm") as statm:
        resident = int(statm.read().split()[1]) * resource.getpagesize() / 1024
    machine = 0.0
    with contextlib.suppress(OSError), open("/proc/stat") as stat:
        user, nice, system, _idle, _wait, hard, soft = map(int, stat.readline().split()[1:8])
        machine = (user + nice + system + hard + soft) / os.sysconf("SC_CLK_TCK")
    return Used(usage.ru_utime + usage.ru_stime, resident, time.monotonic(), machine)


def others_core_percent(start: Used, end: Used, load_core_percent: float) -> float:
    """Return what everyone but this process and the load process took meanwhile, in % of one core."""
    machine, ours = end.machine_s - start.machine_s, end.cpu_s - start.cpu_s
    return max(0.0, 100 * (machine - ours) / (end.at - start.at) - load_core_percent)
