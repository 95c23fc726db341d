"""What ``voiceagent doctor`` finds of the machine under a node: folders, descriptors, room for calls."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from voiceagent.cli.finding import Finding
from voiceagent.descriptors import allowed_descriptors

if TYPE_CHECKING:
    from voiceagent.settings import Settings

FREE_MB = 1024
"""Less room than this on a disk is told: an hour of a recorded call is 115 MB until it is encoded."""
DESCRIPTORS_PER_CALL = 6
"""RTP and RTCP sockets, the provider's socket, journal, recording, and one to spare."""
DESCRIPTORS_OF_THE_HOUSE = 256
"""Listeners, console connections, database, libraries."""


def folder_findings(settings: Settings) -> list[Finding]:
    """Whether journals and recordings can be written, and whether there is room."""
    found = [_folder("journals", "journal_dir", Path(settings.journal_dir))]
    if Path(settings.recordings_dir).exists():
        found.append(_folder("recordings", "recordings_dir", Path(settings.recordings_dir)))
    if settings.recording.store:
        found.append(_store(settings))
    return found


def _store(settings: Settings) -> Finding:
    """Ask the object store for what is not there: that says whether it can be reached and lets us in."""
    from voiceagent.records.objects import NoSuchObject, StoreError, open_store

    recording = settings.recording
    try:
        open_store(recording.store, recording.store_options).head("voiceagent-doctor")
    except NoSuchObject:
        pass
    except StoreError as error:
        words = f"recording.store: {error}; recordings wait in recordings_dir until it answers"
        return Finding("recordings' store", False, words)
    return Finding("recordings' store", True, recording.store)


def _folder(part: str, setting: str, folder: Path) -> Finding:
    there = folder
    while not there.exists() and there != there.parent:
        there = there.parent
    try:
        if not there.is_dir():
            return Finding(part, False, f"{setting}: {there} is no folder")
        with tempfile.TemporaryFile(dir=there):
            pass
        free_mb = shutil.disk_usage(there).free // 2**20
    except OSError as error:
        return Finding(part, False, f"{setting}: cannot write to {there}: {error.strerror}")
    shown = f"{folder}, {free_mb // 1024} GB free" if free_mb >= 1024 else f"{folder}, {free_mb} MB free"
    if free_mb < FREE_MB:
        return Finding(part, False, f"{setting}: {shown}; make room, or calls will leave no record")
    return Finding(part, True, shown)


def room_findings(settings: Settings) -> list[Finding]:
    """Whether ``call.max_calls`` can be reached with the ports and descriptors there are."""
    calls, media = settings.call.max_calls, settings.media
    pairs = (media.port_high - media.port_low + 1) // 2
    found = [
        Finding("rtp ports", True, f"{pairs} pairs for {calls} calls")
        if pairs >= calls
        else Finding(
            "rtp ports",
            False,
            f"{pairs} pairs for {calls} calls: widen media.port_low to media.port_high, or lower "
            "call.max_calls",
        )
    ]
    wanted = calls * DESCRIPTORS_PER_CALL + DESCRIPTORS_OF_THE_HOUSE
    allowed = allowed_descriptors()
    if allowed is not None:
        found.append(
            Finding("descriptors", True, f"{allowed} open files allowed, {wanted} needed at most")
            if allowed >= wanted
            else Finding(
                "descriptors",
                False,
                f"{allowed} open files allowed, {calls} calls may need {wanted}: raise it (ulimit -Hn, "
                "LimitNOFILE=), or lower call.max_calls",
            )
        )
    return found
