"""One connection's session: client events in, state and server events out."""

from __future__ import annotations

import base64
import binascii
import json
import logging
from collections.abc import Callable, Mapping
from typing import Any, cast

from voiceagent.tasks import TaskNest

from .config import EngineConfig
from .faults import FaultPlan
from .floor import Floor
from .input_side import InputSide
from .items import Conversation, Item, view
from .outbox import EventSink
from .output_buffer import Line, OutputBuffer
from .parts_pool import PartsPool
from .protocol_checks import unsupported
from .protocol_errors import Refusal, missing_parameter, wrong_type, wrong_value
from .protocol_schema import APPEND_BYTES, client_events
from .responses import ResponseOrder
from .session_state import SessionState, voice_name, voice_refusal, wire_format

_log = logging.getLogger("voiceagent.engine")


class WireSession:
    """State of one session. :meth:`receive` takes each frame of the client, in order."""

    def __init__(
        self,
        config: EngineConfig,
        pool: PartsPool,
        state: SessionState,
        outbox: EventSink,
        plan: FaultPlan,
        nest: TaskNest,
        line: Line | None = None,
    ) -> None:
        """``line``: the caller's line, where the engine has it; else audio comes and goes as events."""
        self.state = state
        self.conversation = Conversation(outbox.new_id("conv"))
        self._config = config
        self._outbox = outbox
        self._plan = plan
        self._schemas = client_events(config.strict)
        self.output = OutputBuffer(line, self.conversation, outbox) if line is not None else None
        """What waits to be heard on the line."""
        self.floor = Floor(config, pool, self.conversation, outbox, plan, nest, self.output)
        self.input = InputSide(pool, state, self.conversation, outbox, self.floor, self._auto_response, nest)
        self.floor.listen_to(self.input)
        self._handlers: Mapping[str, Callable[[dict[str, Any]], None]] = {
            "session.update": self._session_update,
            "input_audio_buffer.commit": self._commit,
            "input_audio_buffer.clear": self._clear,
            "output_audio_buffer.clear": self._output_clear,
            "conversation.item.create": self._item_create,
            "conversation.item.retrieve": self._item_retrieve,
            "conversation.item.truncate": self._item_truncate,
            "conversation.item.delete": self._item_delete,
            "response.create": self._response_create,
            "response.cancel": self._response_cancel,
        }

    def open(self) -> None:
        """Say hello."""
        self._outbox.emit("session.created", session=self.state.view())

    async def receive(self, frame: str | bytes) -> None:
        """Take one frame; whatever is wrong with it becomes an ``error`` event."""
        event_id: str | None = None
        try:
            event = _parse(frame)
            raw_id = event.get("event_id")
            event_id = raw_id if isinstance(raw_id, str) else None
            kind = self._check(event)
            fault = self._plan.incoming(kind)
            if fault is not None:
                if fault.kind == "swallow":
                    return
                if not fault.with_event_id:
                    event_id = None
                raise Refusal(fault.code, fault.message)
            if kind == "input_audio_buffer.append":
                if self.output is not None:
                    raise wrong_value(
                        "type", "The audio of a SIP call comes from its line; it cannot be appended."
                    )
                await self.input.append(_audio(event["audio"], "audio"))
            else:
                self._handlers[kind](event)
        except Refusal as refusal:
            self._refuse(refusal, event_id)
        except Exception:
            _log.exception("a client event could not be handled")
            message = "The server had an error while processing your request."
            self._refuse(Refusal("server_error", message, kind="server_error"), event_id)

    def _check(self, event: dict[str, Any]) -> str:
        """Check an event in place and return its type."""
        if "type" not in event:
            raise missing_parameter("type")
        kind = event["type"]
        if not isinstance(kind, str):
            raise wrong_type("type", "a string", kind)
        schema = self._schemas.get(kind)
        if schema is None:
            raise unsupported(kind, "type", self._schemas)
        clean = schema(event, "")
        event.clear()
        event.update(clean)
        return kind

    def _refuse(self, refusal: Refusal, event_id: str | None) -> None:
        if not self._config.echo_event_id or self._plan.anonymous:
            event_id = None
        self._outbox.emit("error", error=refusal.error(event_id))

    # -- session and input buffer ----------------------------------------------------------------------

    def _session_update(self, event: dict[str, Any]) -> None:
        self.state.update(event["session"], voice_frozen=self.floor.has_spoken)
        self.input.reconfigure()
        self._outbox.emit("session.updated", session=self.state.view())

    def _commit(self, event: dict[str, Any]) -> None:
        self.input.commit()

    def _clear(self, event: dict[str, Any]) -> None:
        self.input.clear()

    def _output_clear(self, event: dict[str, Any]) -> None:
        if self.output is None:
            raise wrong_value(
                "type",
                "output_audio_buffer.clear is only supported for WebRTC and SIP connections, not WebSockets.",
            )
        self.floor.clear_output()

    # -- conversation ----------------------------------------------------------------------------------

    def _item_create(self, event: dict[str, Any]) -> None:
        item = self._new_item(event["item"], "item")
        if item["type"] == "function_call_output":
            self.conversation.check_tool_output(item)
        audio = self._take_audio(item)
        previous = self.conversation.add(item, after=event.get("previous_item_id"))
        self._outbox.emit("conversation.item.added", previous_item_id=previous, item=view(item))
        self._outbox.emit("conversation.item.done", previous_item_id=previous, item=view(item))
        if audio:
            self.input.hear_item(item["id"], audio)

    def _new_item(self, given: Mapping[str, Any], path: str) -> Item:
        """Return an item as the server keeps it, of what the client gave."""
        item: Item = {key: value for key, value in given.items() if value is not None}
        item["id"] = given.get("id") or self._outbox.new_id("item")
        item["object"] = "realtime.item"
        item["status"] = "completed"
        if item["type"] == "function_call" and "call_id" not in item:
            item["call_id"] = self._outbox.new_id("call")
        if item["type"] == "function_call":
            try:
                json.loads(item["arguments"])
            except ValueError:
                raise wrong_value(
                    f"{path}.arguments", "Function call arguments must be a JSON string."
                ) from None
        return item

    def _take_audio(self, item: Item) -> bytes:
        """Decode and take away the audio of a user message; its transcript stays."""
        audio = b""
        for index, part in enumerate(item.get("content", ())):
            if part["type"] == "input_audio":
                audio += _audio(part.pop("audio"), f"item.content[{index}].audio")
                part.setdefault("transcript", None)
                if part["transcript"] is not None:
                    audio = b""
        return audio

    def _item_retrieve(self, event: dict[str, Any]) -> None:
        item_id = event["item_id"]
        item = self.conversation.get(item_id, code="item_retrieve_invalid_item_id", deed="retrieving")
        shown = view(item)
        audio = self.input.audio_of(item_id)
        if audio is not None:
            for part in shown.get("content", ()):
                if part["type"] == "input_audio":
                    part["audio"] = base64.b64encode(audio).decode("ascii")
        self._outbox.emit("conversation.item.retrieved", item=shown)

    def _item_truncate(self, event: dict[str, Any]) -> None:
        self.conversation.truncate(event["item_id"], event["content_index"], event["audio_end_ms"])
        self.floor.hush()
        self._outbox.emit(
            "conversation.item.truncated",
            item_id=event["item_id"],
            content_index=event["content_index"],
            audio_end_ms=event["audio_end_ms"],
        )

    def _item_delete(self, event: dict[str, Any]) -> None:
        self.conversation.delete(event["item_id"])
        self.input.forget(event["item_id"])
        self._outbox.emit("conversation.item.deleted", item_id=event["item_id"])

    # -- responses -------------------------------------------------------------------------------------

    def _response_create(self, event: dict[str, Any]) -> None:
        self.floor.start(self._order(event.get("response") or {}))

    def _auto_response(self) -> None:
        """Answer the caller's turn, as ``create_response`` asks."""
        try:
            self.floor.start(self._order({}))
        except Refusal as refusal:
            self._refuse(refusal, None)

    def _order(self, given: Mapping[str, Any]) -> ResponseOrder:
        output: Mapping[str, Any] = given.get("audio", {}).get("output", {})
        state = self.state
        voice = voice_name(output["voice"]) if "voice" in output else state.voice
        in_conversation = given.get("conversation", "auto") == "auto"
        if voice != state.voice and self.floor.has_spoken:
            raise voice_refusal("response.audio.output.voice")
        context: list[Item] | None = None
        if "input" in given:
            context = [self._reference(each, index) for index, each in enumerate(given["input"])]
        return ResponseOrder(
            instructions=given.get("instructions"),
            standing=state.instructions,
            metadata=given.get("metadata"),
            in_conversation=in_conversation,
            context=context,
            modalities=tuple(given.get("output_modalities", state.modalities)),
            output_format=self._format(output),
            voice=voice,
            tools=given.get("tools", state.tools),
            tool_choice=given.get("tool_choice", state.tool_choice),
            max_output_tokens=given.get("max_output_tokens", state.max_output_tokens),
        )

    def _format(self, output: Mapping[str, Any]) -> dict[str, Any]:
        if "format" not in output or self.state.line_format is not None:
            return self.state.output_format
        return wire_format(output["format"])

    def _reference(self, given: Mapping[str, Any], index: int) -> Item:
        """Resolve one member of a response's own input."""
        path = f"response.input[{index}]"
        item_id = given.get("id")
        bare = given["type"] == "item_reference"
        if bare:
            if item_id not in self.conversation:
                raise wrong_value(f"{path}.id", f"Item with item_id not found: {item_id}.")
            return self.input.with_words(
                self.conversation.get(str(item_id), code="invalid_value", deed="referencing")
            )
        item = self._new_item(given, path)
        self._take_audio(item)
        return item

    def _response_cancel(self, event: dict[str, Any]) -> None:
        if not self.floor.cancel(event.get("response_id"), reason="client_cancelled"):
            raise Refusal("response_cancel_not_active", "Cancellation failed: no active response found")

    async def close(self) -> None:
        """Let go of everything; the session is over."""
        self.floor.abandon()
        await self.input.close()

    def let_go(self) -> None:
        """Part it from its parts, once its tasks are over: it is freed at once, with the audio it kept."""
        self._handlers = {}
        self.input.let_go()


def _parse(frame: str | bytes) -> dict[str, Any]:
    try:
        event: Any = json.loads(frame)
    except (ValueError, RecursionError):
        raise Refusal(
            "invalid_json", "We could not parse the JSON body of your request. Is it a valid JSON object?"
        ) from None
    if not isinstance(event, dict):
        raise wrong_type("", "an object", event)
    return cast("dict[str, Any]", event)


def _audio(text: str, path: str) -> bytes:
    try:
        audio = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        message = (
            f"Invalid '{path}'. Expected base64-encoded audio bytes, but got a value that is not base64."
        )
        raise wrong_value(path, message) from None
    if len(audio) > APPEND_BYTES:
        raise Refusal(
            "string_above_max_length",
            f"Invalid '{path}': audio too long. "
            f"Expected at most {APPEND_BYTES} bytes, but got {len(audio)} bytes.",
            param=path,
        )
    return audio
