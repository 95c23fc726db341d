"""``voiceagent demo``: a whole call against a service of our own, offline, checked step by step."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from voiceagent.cli.demo_ear import heard_by_recogniser, plain_words
from voiceagent.cli.demo_report import Checks, LadderTap, summary_of, write_outputs
from voiceagent.cli.run import fail_with, show_json
from voiceagent.errors import CallEnded, ConfigError, SipError, VoiceAgentError
from voiceagent.loops import run_loop

ACCOUNT = "481516"
OUTPUTS = ("call.wav", "ladder.txt", "journal.jsonl", "summary.json")
Say = Callable[[str], None]
OPERATOR_LINE = "A message from your operator: your invoice was sent this morning."


def run_demo(out: Path, *, as_json: bool, hosted: bool = False) -> None:
    """Run the demonstration; exit status 0 only when everything happened.

    ``hosted``: the provider takes the call by itself and offers it to the service by webhook.
    """
    from voiceagent.observe.logs import configure_logs

    configure_logs(format="console", level="error")
    say: Say = _hush if as_json else _print
    try:
        _clear(out)
        summary = run_loop(lambda: _demo(out, say, hosted=hosted))
    except VoiceAgentError as error:
        fail_with(error, as_json=as_json)
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    if as_json:
        show_json(summary)
    raise SystemExit(0 if summary["ok"] else 1)


def _clear(out: Path) -> None:
    """Make the folder, and remove what an earlier demonstration left there: nothing else."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name in OUTPUTS:
            (out / name).unlink(missing_ok=True)
    except OSError as error:
        raise ConfigError("--out", f"cannot use {out}: {error.strerror}") from None


def _print(line: str) -> None:
    print(line, flush=True)


def _hush(_line: str) -> None:
    return None


async def _demo(out: Path, say: Say, *, hosted: bool) -> dict[str, Any]:
    from voiceagent.app.service import Service
    from voiceagent.cli.explain import prove
    from voiceagent.phone.ladder import Ladder
    from voiceagent.phone.phone import Phone
    from voiceagent.settings import bare_settings

    ladder = Ladder(say)
    tap = LadderTap(ladder, hosted=hosted)
    with tempfile.TemporaryDirectory(prefix="voiceagent-demo-") as journals:
        settings = bare_settings(
            {
                "journal_dir": journals,
                "flows": [],
                "sip.host": "127.0.0.1",
                "sip.port": 0,
                "media.host": "127.0.0.1",
                "console.enabled": True,
                "console.host": "127.0.0.1",
                "console.port": 0,
                "realtime.provider": "embedded",
                "call.overload_lag_ms": 0,  # one call; a busy machine must not turn it away
                "log.level": "error",
                **(_hosted_settings() if hosted else {}),
            },
        )
        started = time.monotonic()
        say("Starting the service on free loopback ports: SIP, console, embedded realtime provider …")
        async with Service(settings, journal_tap=tap) as service:
            await service.ready()
            assert service.addresses is not None
            sip = service.addresses.hosted_sip if hosted else service.addresses.sip
            where = "of the provider, which offers the call to the service by webhook" if hosted else "on"
            say(f"Ready after {time.monotonic() - started:.1f} s. SIP {where} {sip}. The call:\n")
            checks = Checks(say)
            async with Phone(note=tap.phone) as phone:
                call = await _story(phone, str(sip), service.addresses, checks, tap)
            seconds = call.record(out / "call.wav") if call is not None else 0.0
            for _ in range(100):
                if not service.directory.live:
                    break
                await asyncio.sleep(0.05)
        checks.check("the sequencer kept I1 to I12", *prove(Path(journals)))
        summary = summary_of(tap, checks, call, seconds)
        write_outputs(out, ladder, Path(journals), summary)
    _tell(say, summary, checks, out)
    return summary


def _hosted_settings() -> dict[str, Any]:
    """One secret for both sides: the provider signs with it, the service verifies with it."""
    from voiceagent.engine.hosted_webhook import new_webhook_secret

    return {"hosted.webhook_secrets": [new_webhook_secret()]}


async def _story(phone: Any, sip: str, addresses: Any, checks: Checks, tap: LadderTap) -> Any:
    """The caller's story. Returns the call, also when it went wrong half-way."""
    from voiceagent.phone.words import spoken

    loop = asyncio.get_running_loop()
    tap.phone(loop.time(), "out", f"INVITE sip:100@{sip}")
    call = phone.dial(f"sip:100@{sip}")
    try:
        billing = await spoken(call, "billing please")
        interruption = await spoken(call, "thank you, I know that")
        nothing = await spoken(call, "no thanks")
        await call.answered()
        await call.until_answered_in_words()
        checks.passed(
            "answered and greeted", f"first sound {call.figures.first_audio_ms} ms after the answer"
        )

        call.note('says "billing please"')
        await call.play(billing, "billing please")
        await call.until_speaking()
        checks.passed("understood", "the long answer about billing began")

        await call.wait(2.5)
        call.note('barges in: "thank you, I know that"')
        began = loop.time()
        talking = asyncio.ensure_future(call.play(interruption, "thank you, I know that"))
        last = await call.ear.until_quiet(0.5, 8.0)
        began = await talking
        checks.barged(max(0.0, last - began))

        await call.until_answered_in_words()
        await call.press(f"{ACCOUNT}#")
        await call.until_answered_in_words()
        checks.passed("typed digits, heard a tool's result", f"account {ACCOUNT}")

        asked = loop.time()
        outcome = await _trigger(addresses, tap.call_id)
        checks.check(
            "operator's sentence heard", outcome.get("kind") == "completed", str(outcome.get("heard_text"))
        )

        await call.ear.until_quiet(0.3, 8.0)
        call.note('says "no thanks"')
        await call.play(nothing, "no thanks")
        line = call.timeline.since(1, asked)
        ended = await call.over(20.0)
        checks.check("goodbye, then BYE", ended.by == "peer", f"ended by {ended.by}")
        heard = await heard_by_recogniser(line, call.law, OPERATOR_LINE)
        agrees = plain_words(OPERATOR_LINE) in heard
        checks.check("an ear at the phone's end agrees", agrees, f'"{heard}"')
    except (CallEnded, SipError, TimeoutError, VoiceAgentError) as error:
        checks.check("the story went on", False, f"{type(error).__name__}: {error}")
        call.hang_up()
    return call


async def _trigger(addresses: Any, call_id: str) -> dict[str, Any]:
    """Make the model speak through the operators' HTTP API, and wait for the outcome."""
    import httpx

    headers = {"Authorization": f"Bearer {addresses.console_token}", "Idempotency-Key": "demo-1"}
    body = {"instructions": f'Tell the caller: "{OPERATOR_LINE}"', "metadata": {"desk": "demo"}}
    async with httpx.AsyncClient(base_url=addresses.console, headers=headers, timeout=10) as client:
        path = f"/v1/calls/{call_id}/responses"
        answer = await client.post(path, json=body)
        answer.raise_for_status()
        again = await client.post(path, json=body)
        request_id = answer.json()["request_id"]
        if again.json()["request_id"] != request_id:
            return {"kind": "failed", "heard_text": "the same Idempotency-Key gave a second request"}
        for _ in range(300):
            state = (await client.get(f"{path}/{request_id}")).json()
            if state["outcome"] is not None:
                return state["outcome"]
            await asyncio.sleep(0.1)
    return {"kind": "failed", "heard_text": "no outcome in 30 s"}


def _tell(say: Say, summary: dict[str, Any], checks: Checks, out: Path) -> None:
    say("")
    for check in checks.all:
        say(f"  {'✓' if check.ok else '✗'} {check.name}: {check.detail}")
    say("")
    say(
        f"  set-up {summary['setup_ms']} ms · first audio {summary['first_audio_ms']} ms · "
        f"barge-in stop {summary['barge_in_stop_ms']} ms · overlaps {summary['overlaps']}"
    )
    say(f"  recognised: {', '.join(repr(text) for text in summary['recognised']) or 'nothing'}")
    say(f"  {out}/call.wav (caller left, agent right), ladder.txt, journal.jsonl, summary.json")
    say("")
    say("  Everything happened." if summary["ok"] else "  Something is missing: see the ✗ above.")
    say("  Now you: make run, then dial the address it prints, or open the page.")
