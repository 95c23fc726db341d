"""``voiceagent flow …``: the commands about flows and their help; what they do is imported when needed."""

from __future__ import annotations

import typer

flow = typer.Typer(help="Check, draw and simulate flows without a call.", no_args_is_help=True)
