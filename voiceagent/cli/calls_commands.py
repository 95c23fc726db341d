"""``voiceagent calls …`` and ``voiceagent top``: the console's twin for a shell; help and arguments."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

if TYPE_CHECKING:
    from voiceagent.cli.calls import Where

calls = typer.Typer(
    help="See the calls of a running service, make the agent speak, and act. All by the public API.",
    no_args_is_help=True,
)

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="TOML settings file (default: voiceagent.toml, if there)."),
]
Overrides = Annotated[list[str] | None, typer.Option("--set", help="Any setting: --set console.port=8081.")]
Url = Annotated[
    str | None, typer.Option(help="The service's console; default: as console.host and .port say.")
]
Token = Annotated[
    str | None,
    typer.Option(
        help="A key, or the token it printed; default: console.token.", envvar="VOICEAGENT_CONSOLE__TOKEN"
    ),
]
CallName = Annotated[
    str,
    typer.Argument(metavar="CALL", help="The call's id, a beginning of it, or `last`: the newest live one."),
]
Metadata = Annotated[
    list[str] | None, typer.Option("--metadata", "-m", help="key=value with the response; may be repeated.")
]
When = Annotated[
    Literal["idle", "after_playback", "now"],
    typer.Option(help="idle: no response alive; after_playback: nothing audible, too; now: interrupt."),
]
Deadline = Annotated[int | None, typer.Option(help="Give up when it could not be started in so many ms.")]
Wait = Annotated[
    bool, typer.Option("--wait", "-w", help="Wait for the outcome; exit status 1 unless it was completed.")
]


def _where(
    config: Path | None, overrides: list[str] | None, url: str | None, token: str | None, as_json: bool
) -> Where:
    from voiceagent.cli.calls import Where

    return Where(config, overrides or [], url, token, as_json)


@calls.command("list")
def list_(
    state: Annotated[Literal["live", "ended", "all"], typer.Option(help="Which calls.")] = "live",
    url: Url = None,
    token: Token = None,
    config: ConfigFile = None,
    overrides: Overrides = None,
    json: Json = False,
) -> None:
    """List the calls: who, how long, what goes on, where in the flow, the last words."""
    from voiceagent.cli.calls import list_calls

    list_calls(_where(config, overrides, url, token, json), state)


@calls.command()
def show(
    call: CallName = "last",
    url: Url = None,
    token: Token = None,
    config: ConfigFile = None,
    overrides: Overrides = None,
    json: Json = False,
) -> None:
    """Show one call: facts, transcript (cut where hearing stopped), every request with its reason."""
    from voiceagent.cli.calls import show_call

    show_call(_where(config, overrides, url, token, json), call)


@calls.command()
def tail(
    call: Annotated[str | None, typer.Argument(metavar="CALL", help="Only this one, to its end.")] = None,
    url: Url = None,
    token: Token = None,
    config: ConfigFile = None,
    overrides: Overrides = None,
    json: Json = False,
) -> None:
    """Follow what is said and decided, live. With --json one event a line. Ctrl-C ends it."""
    from voiceagent.cli.calls import tail as follow

    follow(_where(config, overrides, url, token, json), call)


@calls.command()
def respond(
    call: CallName,
    instructions: Annotated[
        str | None, typer.Argument(help="What to say, or how; without it the agent answers as things stand.")
    ] = None,
    metadata: Metadata = None,
    when: When = "idle",
    deadline_ms: Deadline = None,
    coalesce: Annotated[
        str | None, typer.Option(help="A newer waiting request with the same word takes its place.")
    ] = None,
    note: Annotated[bool, typer.Option("--note", help="Only tell the agent; nothing is spoken.")] = False,
    wait: Wait = False,
    url: Url = None,
    token: Token = None,
    config: ConfigFile = None,
    overrides: Overrides = None,
    json: Json = False,
) -> None:
    """Make the agent speak, by instructions:

    voiceagent calls respond last "Tell the caller that the technician comes at three." --when now --wait
    """
    from voiceagent.cli.calls import Wish
    from voiceagent.cli.calls import respond as do

    wish = Wish(instructions, tuple(metadata or ()), when, deadline_ms, coalesce, note, wait)
    do(_where(config, overrides, url, token, json), call, wish)


@calls.command()
def say(
    call: CallName,
    text: Annotated[str, typer.Argument(help="What the caller is to hear, word for word.")],
    metadata: Metadata = None,
    when: When = "idle",
    deadline_ms: Deadline = None,
    wait: Wait = False,
    url: Url = None,
    token: Token = None,
    config: ConfigFile = None,
    overrides: Overrides = None,
    json: Json = False,
) -> None:
    """Make the agent say a text word for word (as faithfully as the model does)."""
    from voiceagent.cli.calls import Wish
    from voiceagent.cli.calls import respond as do
    from voiceagent.ivr.sentences import verbatim

    wish = Wish(verbatim(text), tuple(metadata or ()), when, deadline_ms, wait=wait)
    do(_where(config, overrides, url, token, json), call, wish)


@calls.command()
def withdraw(
    call: CallName,
    response: Annotated[str, typer.Argument(help="The request's id, as `calls show` tells it.")],
    url: Url = None,
    token: Token = None,
    config: ConfigFile = None,
    overrides: Overrides = None,
    json: Json = False,
) -> None:
    """Take a request back: what waits is withdrawn, what is audible is cut."""
    from voiceagent.cli.calls import withdraw as do

    do(_where(config, overrides, url, token, json), call, response)


@calls.command()
def note(
    call: CallName,
    text: Annotated[str, typer.Argument(help="What the agent is to know; nothing is spoken.")],
    url: Url = None,
    token: Token = None,
    config: ConfigFile = None,
    overrides: Overrides = None,
    json: Json = False,
) -> None:
    """Tell the agent something without making it speak."""
    from voiceagent.cli.calls import act

    act(_where(config, overrides, url, token, json), call, "note", {"text": text})


@calls.command()
def hangup(
    call: CallName,
    url: Url = None,
    token: Token = None,
    config: ConfigFile = None,
    overrides: Overrides = None,
    json: Json = False,
) -> None:
    """End a call."""
    from voiceagent.cli.calls import act

    act(_where(config, overrides, url, token, json), call, "hangup")


@calls.command()
def hold(
    call: CallName,
    url: Url = None,
    token: Token = None,
    config: ConfigFile = None,
    overrides: Overrides = None,
    json: Json = False,
) -> None:
    """Put the caller on hold, with music."""
    from voiceagent.cli.calls import act

    act(_where(config, overrides, url, token, json), call, "hold")


@calls.command()
def resume(
    call: CallName,
    url: Url = None,
    token: Token = None,
    config: ConfigFile = None,
    overrides: Overrides = None,
    json: Json = False,
) -> None:
    """Take the caller back from hold."""
    from voiceagent.cli.calls import act

    act(_where(config, overrides, url, token, json), call, "resume")


@calls.command()
def transfer(
    call: CallName,
    target: Annotated[str, typer.Argument(help="A number or SIP URI that call.transfer_targets covers.")],
    attended: Annotated[
        bool, typer.Option("--attended", help="Call the target first, while the caller hears music.")
    ] = False,
    url: Url = None,
    token: Token = None,
    config: ConfigFile = None,
    overrides: Overrides = None,
    json: Json = False,
) -> None:
    """Hand the caller to somebody; `calls show` tells how it goes."""
    from voiceagent.cli.calls import act

    body = {"target": target, "attended": attended}
    act(_where(config, overrides, url, token, json), call, "transfer", body)


@calls.command()
def digits(
    call: CallName,
    keys: Annotated[str, typer.Argument(help="1 to 64 of 0-9, *, #, A-D.")],
    url: Url = None,
    token: Token = None,
    config: ConfigFile = None,
    overrides: Overrides = None,
    json: Json = False,
) -> None:
    """Press keys in the call."""
    from voiceagent.cli.calls import act

    act(_where(config, overrides, url, token, json), call, "send_digits", {"digits": keys})


@calls.command()
def tag(
    call: CallName,
    words: Annotated[list[str], typer.Argument(help="Words to find the call by later.")],
    remove: Annotated[bool, typer.Option("--remove", help="Take them off instead.")] = False,
    url: Url = None,
    token: Token = None,
    config: ConfigFile = None,
    overrides: Overrides = None,
    json: Json = False,
) -> None:
    """Put tags on a call, live or ended."""
    from voiceagent.cli.calls import tag as do

    do(_where(config, overrides, url, token, json), call, words, remove=remove)


@calls.command()
def history(
    words: Annotated[
        list[str] | None, typer.Argument(help="Words that were said, or stand in tags, numbers, flows.")
    ] = None,
    number: Annotated[str, typer.Option(help="A part of the caller's or the called number.")] = "",
    flow: Annotated[str, typer.Option(help="Name of the flow.")] = "",
    outcome: Annotated[str, typer.Option(help="Kind of the ending: success, caller, ours, provider.")] = "",
    tag: Annotated[str, typer.Option(help="With this tag.")] = "",
    days: Annotated[float | None, typer.Option(help="Of the last so many days.")] = None,
    order: Annotated[Literal["newest", "oldest", "longest"], typer.Option(help="Which first.")] = "newest",
    limit: Annotated[int, typer.Option(help="How many.", min=1, max=200)] = 50,
    after: Annotated[str, typer.Option(help="Go on after the page before.")] = "",
    export: Annotated[
        Literal["csv", "json"] | None, typer.Option(help="Write all that fit to standard output instead.")
    ] = None,
    url: Url = None,
    token: Token = None,
    config: ConfigFile = None,
    overrides: Overrides = None,
    json: Json = False,
) -> None:
    """Search the calls that have ended."""
    import time

    from voiceagent.cli.calls import history as do

    filters: dict[str, Any] = {"q": " ".join(words or ()), "number": number, "flow": flow, "order": order}
    filters |= {
        "outcome": outcome,
        "tag": tag,
        "since": None if days is None else time.time() - days * 86_400,
    }
    if export is None:
        filters |= {"limit": limit, "after": after}
    do(_where(config, overrides, url, token, json), filters, export)


def top(
    url: Url = None,
    token: Token = None,
    config: ConfigFile = None,
    overrides: Overrides = None,
    json: Json = False,
) -> None:
    """Watch the floor in the terminal: every call, who speaks, what waits. q or Ctrl-C ends it.

    With --json: one picture of it, once.
    """
    from voiceagent.cli.top import run_top

    run_top(_where(config, overrides, url, token, json))
