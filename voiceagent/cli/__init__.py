"""The command line. Every command takes ``--help`` and ``--json``."""

from __future__ import annotations


def main() -> None:
    """Entry point of the ``voiceagent`` script."""
    from voiceagent.cli.main import app

    app()
