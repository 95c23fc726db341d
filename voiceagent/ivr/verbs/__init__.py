"""The verbs of a flow. Each speaking verb returns how it ended, with what the caller really heard."""

from __future__ import annotations

from voiceagent.ivr.caller_text import CallerText, caller_claims, caller_headers
from voiceagent.ivr.options import FlowOptions
from voiceagent.ivr.ports import CallPort
from voiceagent.ivr.verbs.answering import AnsweringVerbs
from voiceagent.ivr.verbs.asking import AskingVerbs
from voiceagent.ivr.verbs.conversing import ConversingVerbs
from voiceagent.ivr.verbs.fetching import FetchingVerbs
from voiceagent.ivr.verbs.leaving import LeavingVerbs
from voiceagent.ivr.verbs.listening import ListeningVerbs
from voiceagent.ivr.verbs.playing import PlayingVerbs
from voiceagent.ivr.verbs.queueing import QueueingVerbs
from voiceagent.ivr.verbs.recording import RecordingVerbs
from voiceagent.ivr.verbs.speaking import SpeakingVerbs
from voiceagent.ivr.verbs.waiting import WaitingVerbs

__all__ = ["Call"]


class Call(
    SpeakingVerbs,
    PlayingVerbs,
    AnsweringVerbs,
    AskingVerbs,
    ConversingVerbs,
    ListeningVerbs,
    FetchingVerbs,
    WaitingVerbs,
    RecordingVerbs,
    QueueingVerbs,
    LeavingVerbs,
):
    """One running call, as a flow sees it. Hang-up cancels the flow; its ``finally`` blocks run."""

    def __init__(
        self,
        port: CallPort,
        *,
        no_input_s: float = 6.0,
        transfer_timeout_s: float = 20.0,
        options: FlowOptions | None = None,
    ) -> None:
        super().__init__(
            port,
            no_input_s=no_input_s,
            transfer_timeout_s=transfer_timeout_s,
            options=options or FlowOptions(),
        )
        facts = port.facts
        self.id = facts.call_id
        theirs = CallerText if facts.direction == "inbound" else str
        self.caller = theirs(facts.caller)
        """Who calls. Inbound that is a claim: data, never proof; it quotes itself."""
        self.called = theirs(facts.called)
        self.caller_name = CallerText(facts.caller_name)
        self.headers = caller_headers(facts.headers)
        """Headers of the call, as the caller's side sent them: data, like everything the caller says."""
        self.claims = caller_claims(facts.claims)
        """What they say about the caller: asserted identity, diversions, attestation."""
        self.direction = facts.direction
        """``inbound`` or ``outbound``."""
        self.dialled = facts.dialled
        """Outbound: the URI that was called."""
        self.metadata = facts.metadata
        """Outbound: what came with the request to place the call."""

    def step(self, name: str) -> None:
        """Name the flow's present step, for console, journal, and tools that are bound to steps."""
        self._name_step(name)
