"""A call in German: the verbs' own lines, the recogniser and the standing prompt all speak it."""

from __future__ import annotations

from tests.kit.scripted_provider import Reply
from tests.kit.story import Story
from tests.kit.virtual_loop import virtual
from voiceagent.ivr import Call, Digits, flow


@virtual
async def test_repairs_and_keys_are_in_the_flows_language() -> None:
    answers: list[str | None] = []

    @flow("empfang", language="de-CH", idle=("Sind Sie noch dran?", "Hallo?"), idle_s=3)
    async def reception(call: Call) -> None:
        answers.append(await call.choose("Frage nach dem Anliegen.", rechnung="1", person="0", attempts=4))
        answers.append(await call.collect("Frage nach der Nummer.", digits=Digits(4), confirm=True))

    story = Story(reception)
    story.provider.default = Reply(audio_ms=600)
    story.start()
    for _ in range(2):
        await story.agent_speaks()
        await story.agent_silent()
    await story.caller_says("Kuchen")
    await story.creates(3)
    await story.agent_speaks()
    await story.caller_says("die Rechnung, bitte")
    await story.creates(4)
    await story.agent_speaks()
    await story.agent_silent()
    await story.caller_says("null acht fünfzehn")
    await story.creates(5)
    await story.agent_speaks()
    await story.agent_silent()
    await story.caller_says("Ja, stimmt.")
    await story.ends()

    assert answers == ["rechnung", "0815"]
    told = [frame["response"]["instructions"] for frame in story.provider.creates()]
    assert 'Say "Sind Sie noch dran?"' in told[1]
    assert 'Say "Das habe ich leider nicht verstanden."' in told[2]
    assert 'Ask: "Ich habe 0 8 1 5 verstanden. Ist das richtig?"' in told[4]
    hints = [
        frame["session"]["audio"]["input"]["transcription"]
        for frame in story.provider.received
        if frame["type"] == "session.update" and "transcription" in frame["session"]["audio"].get("input", {})
    ][1:]
    assert [one["prompt"] for one in hints] == [
        "Erwartet wird eines von: rechnung; person.",
        "Erwartet werden 4 Ziffern.",
        "Erwartet wird ja oder nein.",
    ]
    assert {one["language"] for one in hints} == {"de"}


@virtual
async def test_a_response_that_replaces_the_prompt_still_speaks_the_language() -> None:
    @flow("accueil", instructions="Be brief.", language="fr")
    async def reception(call: Call) -> None:
        await call.respond("Salue.", replace=True)
        await call.respond("Remercie.")

    story = Story(reception)
    story.start()
    await story.ends()
    first, second = (frame["response"]["instructions"] for frame in story.provider.creates())
    assert first == "Always speak French with the caller. Salue."
    assert second.endswith("Remercie.")
