"""``voiceagent call``: a SIP phone in the terminal."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from voiceagent.cli.run import USAGE, fail, fail_with, show_json
from voiceagent.errors import CallEnded, VoiceAgentError
from voiceagent.loops import run_loop

if TYPE_CHECKING:
    from voiceagent.media.sdp.security import Keying
    from voiceagent.phone.phone import PhoneCall

VERBS = ("say", "barge", "wav", "digits", "wait", "listen", "hold", "resume", "hangup")


def run_call(
    target: str,
    steps: list[str],
    *,
    voice: str,
    codec: str,
    record: Path | None,
    limit_s: float,
    as_json: bool,
    srtp: str | None = None,
    insecure: bool = False,
) -> None:
    """Place the call. Exit status 1 when it was not answered."""
    script = [_step(text) for text in steps]
    if codec not in ("pcmu", "pcma", "g722", "opus"):
        fail(f"--codec {codec}: must be pcmu, pcma, g722 or opus", USAGE)
    from voiceagent.media.codecs import have_wide

    if codec in ("g722", "opus") and not have_wide():
        fail(f"--codec {codec} needs PyAV: pip install 'voiceagent[codecs]'", USAGE)
    if srtp not in (None, "sdes", "dtls"):
        fail(f"--srtp {srtp}: must be sdes or dtls", USAGE)

    async def work() -> dict[str, object]:
        return await _call(
            target,
            script,
            voice=voice,
            codec=codec,
            record=record,
            limit_s=limit_s,
            quiet=as_json,
            srtp=srtp,
            insecure=insecure,
        )

    try:
        summary = run_loop(work)
    except VoiceAgentError as error:
        fail_with(error, as_json=as_json)
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    if as_json:
        show_json(summary)


def _step(text: str) -> tuple[str, str]:
    verb, _, argument = text.partition(":")
    if verb not in VERBS:
        fail(f"--do {text}: unknown step {verb!r}; there are {', '.join(VERBS)}", USAGE)
    if verb in ("say", "barge", "wav", "digits", "wait") and not argument:
        fail(f"--do {text}: {verb} needs something after the colon", USAGE)
    if verb == "digits" and not set(argument.upper()) <= set("0123456789*#ABCD"):
        fail(f"--do {text}: digits are 0-9, *, #, A-D", USAGE)
    if verb == "wait":
        try:
            float(argument)
        except ValueError:
            fail(f"--do {text}: wait takes seconds", USAGE)
    if verb == "wav" and not Path(argument).is_file():
        fail(f"--do {text}: no such file", USAGE)
    return verb, argument


async def _call(
    target: str,
    script: list[tuple[str, str]],
    *,
    voice: str,
    codec: str,
    record: Path | None,
    limit_s: float,
    quiet: bool,
    srtp: Keying | None,
    insecure: bool,
) -> dict[str, object]:
    from voiceagent.phone.ladder import Ladder
    from voiceagent.phone.phone import Phone, chosen, resolve
    from voiceagent.sip.net.tls import TlsConfig

    ladder = Ladder(None if quiet else print, columns=("phone", "far end"))

    def note(now: float, direction: str, label: str) -> None:
        source, target_column = {"out": (0, 1), "in": (1, 0)}.get(direction, (0, 0))
        ladder.tell(now, source, target_column, label)

    destination = await resolve(target)
    async with Phone(
        codecs=chosen([codec]), note=note, srtp=srtp, tls=TlsConfig(verify=not insecure)
    ) as phone:
        ladder.begin(asyncio.get_running_loop().time())
        note(asyncio.get_running_loop().time(), "out", f"INVITE {target}")
        call = phone.dial(target, destination)
        try:
            await call.answered()
        except TimeoutError:
            call.hang_up()
            raise VoiceAgentError(f"{target} did not answer", code="no_answer") from None
        gave_up = await _play_script(call, script, voice, limit_s)
        if gave_up is not None:
            call.note(gave_up)
        call.hang_up()
        ended = await call.over()
        if record is not None:
            call.record(record)
    if not quiet:
        figures = call.figures
        print(
            f"\nanswered after {figures.setup_ms} ms, first sound {figures.first_audio_ms or '–'} ms later, "
            f"ended by {'the far end' if ended.by == 'peer' else ended.by}; {call.codec}"
            + (f"; media encrypted with {figures.srtp}" if figures.srtp else "")
            + (f"; MOS {figures.mos:.1f}" if figures.mos is not None else "")
            + (f"; {record}" if record else "")
        )
    return {
        "gave_up": gave_up,
        **asdict(call.figures),
        "codec": call.codec,
        "ended_by": ended.by,
        "record": str(record) if record else None,
        "ladder": ladder.lines,
    }


async def _play_script(
    call: PhoneCall, script: list[tuple[str, str]], voice: str, limit_s: float
) -> str | None:
    """Do step by step, then wait for the far end's BYE; return why it was given up, if it was."""
    step = "waiting for the end"
    try:
        async with asyncio.timeout(limit_s) as limit:
            try:
                for verb, argument in script:
                    step = f"{verb}:{argument}" if argument else verb
                    await _perform(call, verb, argument, voice)
                step = "waiting for the end"
                await call.over(3600)
            except TimeoutError:
                if not limit.expired():
                    return f"{step}: the far end did not speak (or fall silent) in time"
                raise
    except CallEnded:
        return None
    except TimeoutError:
        return f"--limit reached ({limit_s:g} s) at {step}"
    return None


async def _perform(call: PhoneCall, verb: str, argument: str, voice: str) -> None:
    from voiceagent.phone.words import spoken, wav_audio

    match verb:
        case "listen":
            await call.until_answered_in_words()
        case "say" | "barge":
            if verb == "barge":
                await call.until_speaking()
            call.note(f'says "{argument}"')
            await call.play(await spoken(call, argument, voice), argument)
        case "wav":
            call.note(f"plays {argument}")
            await call.play(wav_audio(call, Path(argument)), argument)
        case "digits":
            await call.press(argument.upper())
        case "wait":
            await call.wait(float(argument))
        case "hold" | "resume":
            call.note(verb)
            call.hold(verb == "hold")
        case _:
            call.hang_up()
