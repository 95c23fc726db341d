"""Commands to a node as a whole: help and arguments."""

from __future__ import annotations

from typing import Annotated

import typer

from voiceagent.cli.calls_commands import ConfigFile, Json, Overrides, Token, Url


def drain(
    wait: Annotated[bool, typer.Option("--wait", "-w", help="Stay until it has gone.")] = False,
    limit: Annotated[
        float | None,
        typer.Option(help="Seconds that running calls may go on; default: call.drain_limit_s."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Take it back: calls are taken again.")] = False,
    show: Annotated[bool, typer.Option("--show", help="Only say how it stands.")] = False,
    node: Annotated[
        str | None,
        typer.Option(help="Another node of the fleet, by its name; the key is good there, too."),
    ] = None,
    url: Url = None,
    token: Token = None,
    config: ConfigFile = None,
    overrides: Overrides = None,
    json: Json = False,
) -> None:
    """Have a running service finish its calls and end; SIGTERM does the same.

    It is not ready at once, new calls get 503, running ones go on to their end. Whoever is still on the line
    at the limit hears a goodbye. Then the process ends with status 0.
    """
    from voiceagent.cli.drain import run_drain

    run_drain(
        config,
        overrides or [],
        url,
        token,
        name=node,
        limit_s=limit,
        wait=wait,
        resume=resume,
        show=show,
        as_json=json,
    )


def kamailio(
    workers: Annotated[int, typer.Option(help="As given to `voiceagent serve`; 0: one process.")] = 0,
    node: Annotated[
        list[str] | None,
        typer.Option(help="HOST:PORT of a node, instead of this machine's; may be repeated.", metavar="NODE"),
    ] = None,
    config: ConfigFile = None,
    overrides: Overrides = None,
    json: Json = False,
) -> None:
    """Print the dispatcher list for the Kamailio in front: deploy/kamailio has the rest of its configuration.

    Example: voiceagent kamailio --workers 4 > /etc/kamailio/dispatcher.list
    """
    from voiceagent.cli.kamailio import run_kamailio

    run_kamailio(config, overrides or [], workers=workers, nodes=node or [], as_json=json)
