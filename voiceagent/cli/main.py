"""The commands and their help. What they do lives in the modules beside this one, imported when needed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

import voiceagent
from voiceagent.cli.bench_console import add_console_bench
from voiceagent.cli.bench_flows import add_flow_benches
from voiceagent.cli.bench_load import add_load_benches
from voiceagent.cli.bench_sip import add_sip_benches
from voiceagent.cli.calls_commands import calls, top
from voiceagent.cli.database_commands import db
from voiceagent.cli.flow_commands import flow
from voiceagent.cli.node_commands import drain, kamailio
from voiceagent.cli.people_commands import audit, key, user
from voiceagent.cli.records_commands import erase, records

BENCH_HELP = """Measure this machine: load, latency, accuracy. Figures are printed, never asserted.

Where to start:

- `bench calls --calls 100`: so many calls at once, and what one costs; `--whole` with everything but SIP
- `bench calls --against pipecat`: the same load through another framework as well, and the ratio
- `bench soak`: thousands of calls through a whole service, and what they leave behind
- `bench report`: all that is published, as a page with plots, in less than twelve minutes

Good to know:

- Let the machine be quiet. What measures time says `valid: false`, with the reason, when it was not.
- The load is a second process: two cores at least.
- `--json` prints every figure under stable keys; progress is told on stderr.
- Methods, and what is wanted of each figure: `docs/benchmarks/`.
"""
app = typer.Typer(
    name="voiceagent",
    help="Answer phone calls with a realtime voice model: one call, one session, one sequencer.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
bench = typer.Typer(help=BENCH_HELP, rich_markup_mode="markdown")
app.add_typer(bench, name="bench")
add_sip_benches(bench)
add_flow_benches(bench)
add_console_bench(bench)
add_load_benches(bench)
app.add_typer(flow, name="flow")
app.add_typer(calls, name="calls")
app.command()(top)
app.command()(drain)
app.command()(erase)
app.command()(kamailio)
app.add_typer(user, name="user")
app.add_typer(key, name="key")
app.add_typer(audit, name="audit")
app.add_typer(records, name="records")
app.add_typer(db, name="db")

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]
ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="TOML settings file (default: voiceagent.toml, if there)."),
]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", help="Any setting: --set call.max_calls=10 (see docs/guide.md for all of them)."),
]


def _version(wanted: bool) -> None:
    if wanted:
        print(f"voiceagent {voiceagent.__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Answer phone calls with a realtime voice model."""


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="Where; it is made if it is not there.")] = Path("."),
    force: Annotated[
        bool, typer.Option("--force", help="Overwrite files of the same names, and nothing else.")
    ] = False,
    json: Json = False,
) -> None:
    """Make a project that runs: settings, a flow in Python and one in TOML, scenarios, tests.

    Nothing is overwritten: whatever is in the way is listed, with exit status 1.
    """
    from voiceagent.cli.init import run_init

    run_init(folder, force=force, as_json=json)


@app.command()
def serve(
    config: ConfigFile = None,
    flow: Annotated[
        list[Path] | None,
        typer.Option("--flow", "-f", help="File with flows (Python or TOML); may be repeated."),
    ] = None,
    sip_host: Annotated[str | None, typer.Option(help="Address for SIP and RTP.")] = None,
    sip_port: Annotated[
        int | None,
        typer.Option(help="UDP and TCP port for SIP; 0 takes a free one. Not used beside sip.listen."),
    ] = None,
    console_port: Annotated[
        int | None, typer.Option(help="TCP port of the console; 0 takes a free one.")
    ] = None,
    provider: Annotated[
        str | None, typer.Option(help="embedded, openai, azure, xai, or auto (openai when there is a key).")
    ] = None,
    hosted: Annotated[
        bool,
        typer.Option("--hosted", help="Also take calls that the provider answers and offers by webhook."),
    ] = False,
    workers: Annotated[
        int | None,
        typer.Option(
            help="Run so many processes, behind a proxy: ports count up from sip.port and console.port, the "
            "RTP range is split. Needs cluster.url."
        ),
    ] = None,
    supervised: Annotated[
        bool, typer.Option("--supervised", hidden=True, help="End when standard input does.")
    ] = False,
    overrides: Overrides = None,
    json: Json = False,
) -> None:
    """Answer calls until told to stop.

    SIGTERM (or Ctrl-C) drains: no new calls, running ones go on to their end. A second signal ends them now.
    """
    from voiceagent.cli.serve import run_serve

    flags: dict[str, Any] = {
        "sip.host": sip_host,
        "sip.port": sip_port,
        "console.port": console_port,
        "realtime.provider": provider,
        "flows": [str(path) for path in flow] if flow else None,
    }
    if workers is not None:
        from voiceagent.cli.run import parse_overrides
        from voiceagent.cli.workers import WorkersWish, run_workers

        given = {name: value for name, value in flags.items() if value is not None}
        run_workers(WorkersWish(workers, config, {**given, **parse_overrides(overrides or [])}, hosted, json))
    run_serve(config, flags, overrides or [], as_json=json, hosted=hosted, supervised=supervised)


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder for the recording, ladder, journal and summary.")] = Path(
        "demo-out"
    ),
    hosted: Annotated[
        bool, typer.Option("--hosted", help="The provider takes the call itself and offers it by webhook.")
    ] = False,
    json: Json = False,
) -> None:
    """Place a real SIP call to a service of our own, offline, and show what happened.

    The caller hears a greeting, says "billing", barges into the long answer, types digits, hears a tool's
    result, an operator's sentence, a goodbye and the BYE. Exit status 0 only when all of it happened.
    """
    from voiceagent.cli.demo import run_demo

    run_demo(out, as_json=json, hosted=hosted)


@app.command()
def call(
    target: Annotated[str, typer.Argument(help="Whom to call: sip:100@127.0.0.1:5060")],
    steps: Annotated[
        list[str] | None,
        typer.Option(
            "--do",
            help="What the caller does, in order; may be repeated: listen (until the agent has spoken), "
            "say:billing, barge:stop (talks over the agent), wav:file.wav, digits:1234#, wait:2.5, hold, "
            "resume, hangup.",
        ),
    ] = None,
    voice: Annotated[
        str, typer.Option(help="The caller's voice: rms, awb, slt, kal (flite), or espeak.")
    ] = "rms",
    codec: Annotated[str, typer.Option(help="Of the wire: pcmu, pcma, g722 or opus.")] = "pcmu",
    record: Annotated[
        Path | None, typer.Option(help="Write the call as stereo WAV: caller left, agent right.")
    ] = None,
    limit: Annotated[float, typer.Option(help="Hang up after so many seconds.")] = 120.0,
    srtp: Annotated[
        str | None, typer.Option(help="Demand encrypted media, keyed by sdes or dtls.", metavar="KEYING")
    ] = None,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Over TLS, trust any certificate: for laboratories.")
    ] = False,
    agent: Annotated[
        str | None, typer.Option(help="Have this flow's agent make the call, instead of you.", metavar="FLOW")
    ] = None,
    flow: Annotated[
        list[Path] | None,
        typer.Option("--flow", "-f", help="With --agent: a file with flows, repeatable."),
    ] = None,
    sender: Annotated[
        str | None, typer.Option("--from", help="With --agent: number or name to call as.")
    ] = None,
    metadata: Annotated[
        list[str] | None, typer.Option(help="With --agent: key=value for the flow; may be repeated.")
    ] = None,
    ring: Annotated[float, typer.Option(help="With --agent: give up after ringing so many seconds.")] = 45.0,
    url: Annotated[
        str | None, typer.Option(help="With --agent: a running node's console, not a service of its own.")
    ] = None,
    token: Annotated[
        str | None, typer.Option(help="With --url: its token.", envvar="VOICEAGENT_CONSOLE__TOKEN")
    ] = None,
    config: ConfigFile = None,
    overrides: Overrides = None,
    json: Json = False,
) -> None:
    """Phone a SIP address from the terminal: speak text or a WAV, press keys, barge in, record.

    Without --do it listens until the far end hangs up (or --limit). Example:

        voiceagent call sip:100@127.0.0.1:5060 --do listen --do say:billing --record call.wav

    With --agent a flow runs on the call, and the exit status says what became of it: 0 answered, 3 busy,
    4 declined, 5 no_answer, 6 not_found, 7 unreachable, 8 rejected_by_policy, 1 anything else:

        voiceagent call --agent front-desk sip:100@127.0.0.1:5070
    """
    if agent is not None:
        from voiceagent.cli.agent_call import AgentCall, run_agent_call

        wanted = AgentCall(target, agent, sender or "", tuple(metadata or ()), ring, limit)
        paths = [str(path) for path in flow or ()]
        run_agent_call(wanted, paths, config, overrides or [], url, token, as_json=json)
        return
    from voiceagent.cli.call import run_call

    run_call(
        target,
        steps or ["listen", "wait:3600"],
        voice=voice,
        codec=codec,
        record=record,
        limit_s=limit,
        as_json=json,
        srtp=srtp,
        insecure=insecure,
    )


@app.command()
def engine(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="TCP port; 0 takes a free one.")] = 8765,
    voice: Annotated[str, typer.Option(help="auto, flite, espeak, or a plug-in's name.")] = "auto",
    recogniser: Annotated[str, typer.Option(help="auto, pocketsphinx, or a plug-in's name.")] = "auto",
    faults: Annotated[
        str, typer.Option(help="Misbehave on cue; see voiceagent/engine/faults.py for the script's words.")
    ] = "",
    webhook: Annotated[
        str | None,
        typer.Option(
            help="Take SIP calls, too, and offer them at this URL, signed with $VOICEAGENT_WEBHOOK_SECRET."
        ),
    ] = None,
    sip_port: Annotated[int, typer.Option(help="UDP port of those calls; 0 takes a free one.")] = 0,
    json: Json = False,
) -> None:
    """Run the embedded realtime provider alone: the OpenAI Realtime wire on plain CPU, no key, no network."""
    from voiceagent.cli.engine import run_engine

    run_engine(
        host,
        port,
        voice=voice,
        recogniser=recogniser,
        faults=faults,
        as_json=json,
        webhook=webhook,
        sip_port=sip_port,
    )


@app.command("reload")
def reload_flows(
    url: Annotated[
        str | None, typer.Option(help="The service's console; default: as console.host and .port say.")
    ] = None,
    token: Annotated[
        str | None,
        typer.Option(help="Its token; default: console.token.", envvar="VOICEAGENT_CONSOLE__TOKEN"),
    ] = None,
    config: ConfigFile = None,
    overrides: Overrides = None,
    json: Json = False,
) -> None:
    """Have a running service read its flow files and routes again; SIGHUP does the same.

    All of it is taken, or, with exit status 1 and the reasons, nothing. Calls that run keep their flow.
    """
    from voiceagent.cli.reload import run_reload

    run_reload(config, overrides or [], url, token, as_json=json)


@app.command()
def doctor(config: ConfigFile = None, overrides: Overrides = None, json: Json = False) -> None:
    """Check everything a call needs: settings, ports, codecs, voice, recogniser, provider."""
    from voiceagent.cli.doctor import run_doctor

    run_doctor(config, overrides or [], as_json=json)


@app.command()
def explain(
    journal: Annotated[Path, typer.Argument(help="A call's journal (JSONL).")],
    check: Annotated[
        bool, typer.Option("--check", help="Check that the sequencer kept its promises (I1 to I12).")
    ] = False,
    sip: Annotated[bool, typer.Option("--sip", help="Show the SIP messages of the call instead.")] = False,
    trace: Annotated[
        bool,
        typer.Option("--trace", help="Show its spans instead: turns, responses, tools."),
    ] = False,
    json: Json = False,
) -> None:
    """Tell a call's story from its journal: requests, what they waited for, cuts, outcomes.

    With --check: verify invariants I1 to I12 on it; exit status 1, with line numbers, if one was broken.
    """
    from voiceagent.cli.explain import run_explain, show_sip

    if sip:
        show_sip(journal, as_json=json)
        return
    if trace:
        from voiceagent.cli.explain_trace import show_trace

        show_trace(journal, as_json=json)
        return
    run_explain(journal, check=check, as_json=json)


@app.command()
def replay(
    journals: Annotated[list[Path], typer.Argument(help="Journals (JSONL), or folders of them.")],
    flow: Annotated[
        list[Path] | None,
        typer.Option("--flow", "-f", help="Take the calls' flows from this file instead; may be repeated."),
    ] = None,
    tolerance_ms: Annotated[
        float, typer.Option(help="How much earlier or later a decision may be, and still be the same.")
    ] = 5.0,
    json: Json = False,
) -> None:
    """Live recorded calls again with today's code and flows, and tell what is decided otherwise.

    All that entered the call enters again at its time, on a virtual clock: no network, nobody is called. Exit
    status 0: all decisions are the same; 1: they differ; 2: a journal cannot be replayed.
    """
    from voiceagent.cli.replay import run_replay

    run_replay(journals, flows=flow or [], tolerance_ms=tolerance_ms, as_json=json)


@bench.command("sequencer")
def bench_sequencer(
    seconds: Annotated[float, typer.Option(help="How long to count decisions.")] = 3.0,
    seed: Annotated[int, typer.Option(help="Seed of traffic and interleavings.")] = 1,
    exhaustive: Annotated[
        int | None, typer.Option(metavar="DEPTH", help="Walk every order of events to this depth instead.")
    ] = None,
    interleavings: Annotated[
        int | None, typer.Option(metavar="N", help="Live N random orders of events instead.")
    ] = None,
    sockets: Annotated[
        int | None, typer.Option(metavar="N", help="Hold N short sessions over real sockets instead.")
    ] = None,
    planted: Annotated[
        bool, typer.Option("--planted", help="Plant defects one at a time; say which property caught each.")
    ] = False,
    against: Annotated[
        str | None, typer.Option(help="Compare with another sequencer on the same traffic: openai-agents.")
    ] = None,
    json: Json = False,
) -> None:
    """Decisions per second, and a traffic simulation: requests lost, collisions, starts over speech."""
    from voiceagent.bench.sequencer import choose_bench
    from voiceagent.cli.bench import report

    run = choose_bench(
        seconds=seconds,
        seed=seed,
        exhaustive=exhaustive,
        interleavings=interleavings,
        sockets=sockets,
        planted=planted,
        against=against,
    )
    report("sequencer", run, as_json=json)


@bench.command("srtp")
def bench_srtp(
    runs: Annotated[int, typer.Option(help="Short runs of each measurement.")] = 200,
    json: Json = False,
) -> None:
    """What encrypted media costs: microseconds per packet pair and profile, DTLS handshakes, forgeries."""
    from voiceagent.bench.srtp import run_srtp_bench
    from voiceagent.cli.bench import report

    report("srtp", lambda: run_srtp_bench(runs=runs), as_json=json)


@bench.command("media")
def bench_media(
    seeds: Annotated[int, typer.Option(help="Lines of 16 digits each.")] = 1000,
    minutes: Annotated[float, typer.Option(help="Of speech-like audio for the tone detector.")] = 30.0,
    cases: Annotated[int, typer.Option(help="Jumps of SSRC, sequence and timestamp.")] = 100_000,
    json: Json = False,
) -> None:
    """Codecs' costs; jitter buffer, concealment and digits on bad lines, in virtual time."""
    from voiceagent.bench.media import run_media_bench
    from voiceagent.cli.bench import report

    report("media", lambda: run_media_bench(seeds=seeds, minutes=minutes, cases=cases), as_json=json)


@bench.command("conversation")
def bench_conversation(
    turns: Annotated[int, typer.Option(help="Turns of the caller.")] = 20, json: Json = False
) -> None:
    """End of the caller's speech to the agent's first sound, over real SIP, with the embedded provider."""
    from voiceagent.bench.conversation import run_conversation_bench
    from voiceagent.cli.bench import report

    report("conversation", lambda: run_conversation_bench(turns=turns), as_json=json)


@bench.command("webhook")
def bench_webhook(
    mutations: Annotated[int, typer.Option(help="Mutated offers; none may act.")] = 100_000,
    offers: Annotated[int, typer.Option(help="Genuine offers, delivered twice each.")] = 500,
    seed: Annotated[int, typer.Option(help="Seed of the mutations.")] = 1,
    json: Json = False,
) -> None:
    """Offers of hosted calls: mutated, repeated, genuine; verified to accept sent."""
    from voiceagent.bench.webhook import run_webhook_bench
    from voiceagent.cli.bench import report

    report("webhook", lambda: run_webhook_bench(mutations, offers=offers, seed=seed), as_json=json)


@bench.command("recovery")
def bench_recovery(
    kills: Annotated[int, typer.Option(help="How often a provider's session is killed, in all.")] = 500,
    calls: Annotated[int, typer.Option(help="Calls at once.")] = 20,
    seed: Annotated[int, typer.Option(help="Seed of the points at which sessions die.")] = 1,
    json: Json = False,
) -> None:
    """Sessions killed at random points of the wire: turns restored, tools run twice, comfort, resumption."""
    from voiceagent.bench.recovery import run_recovery_bench
    from voiceagent.cli.bench import report

    report("recovery", lambda: run_recovery_bench(kills=kills, calls=calls, seed=seed), as_json=json)


@bench.command("recogniser")
def bench_recogniser(
    quick: Annotated[bool, typer.Option(help="Two voices instead of all.")] = False, json: Json = False
) -> None:
    """Accuracy of the embedded recogniser on synthetic callers over a telephone line."""
    from voiceagent.bench.recogniser import run_recogniser_bench
    from voiceagent.cli.bench import report

    report("recogniser", lambda: run_recogniser_bench(quick=quick), as_json=json)
