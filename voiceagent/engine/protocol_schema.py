"""What each of the eleven client events may look like. PURE.

Source: the vendor's Realtime API reference (GA), client events and session object.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from .protocol_checks import (
    Check,
    anything,
    array,
    boolean,
    either,
    free_object,
    integer,
    metadata,
    nullable,
    number,
    one_of,
    string,
    table,
    tagged,
)
from .protocol_errors import wrong_value

ID_LENGTH = 512
TEXT_LENGTH = 1_000_000
AUDIO_LENGTH = 20 * 1024 * 1024
"""Characters of base64 for 15 MiB of audio."""
APPEND_BYTES = 15 * 1024 * 1024

IDENTIFIER = string(longest=ID_LENGTH)
TEXT = string(longest=TEXT_LENGTH)
AUDIO = string(longest=AUDIO_LENGTH)


@lru_cache(maxsize=2)
def client_events(strict: bool) -> Mapping[str, Check]:
    """Return the check of every client event by its ``type``."""
    return _checks(strict)[0]


@lru_cache(maxsize=2)
def session_check(strict: bool) -> Check:
    """Return the check of a session object, as ``session.update`` has it and as a call is accepted with."""
    return _checks(strict)[1]


def _checks(strict: bool) -> tuple[Mapping[str, Check], Check]:
    def obj(fields: Mapping[str, Check], *required: str) -> Check:
        return table(fields, required, strict=strict)

    def event(name: str, fields: Mapping[str, Check], *required: str) -> Check:
        return obj({"type": one_of(name), "event_id": IDENTIFIER, **fields}, "type", *required)

    audio_format = tagged(
        "type",
        {
            "audio/pcm": obj({"type": anything, "rate": one_of(24000)}, "type"),
            "audio/pcmu": obj({"type": anything}, "type"),
            "audio/pcma": obj({"type": anything}, "type"),
        },
    )
    voice = either("a string or an object", (str, string(longest=256)), (dict, obj({"id": IDENTIFIER}, "id")))
    transcription = obj(
        {
            "model": string(longest=256),
            "language": string(longest=64),
            "languages": array(string(longest=64), most=32),
            "prompt": string(longest=8192),
            "keywords": array(string(longest=256), most=256),
            "delay": one_of("minimal", "low", "medium", "high", "xhigh"),
        }
    )
    turn_detection = tagged(
        "type",
        {
            "server_vad": obj(
                {
                    "type": anything,
                    "threshold": number(0.0, 1.0),
                    "prefix_padding_ms": integer(0, 5000),
                    "silence_duration_ms": integer(0, 20_000),
                    "idle_timeout_ms": nullable(integer(1, 600_000)),
                    "create_response": boolean,
                    "interrupt_response": boolean,
                },
                "type",
            ),
            "semantic_vad": obj(
                {
                    "type": anything,
                    "eagerness": one_of("low", "medium", "high", "auto"),
                    "create_response": boolean,
                    "interrupt_response": boolean,
                },
                "type",
            ),
        },
    )
    function_tool = obj(
        {
            "type": anything,
            "name": string(longest=64),
            "description": string(longest=65_536),
            "parameters": free_object,
        },
        "name",
    )
    tools = array(
        tagged("type", {"function": function_tool, "mcp": table({}, strict=False)}, default="function"),
        most=128,
    )
    tool_choice = either(
        "a string or an object",
        (str, one_of("none", "auto", "required")),
        (
            dict,
            tagged(
                "type",
                {
                    "function": obj({"type": anything, "name": string(longest=64)}, "name"),
                    "mcp": obj(
                        {"type": anything, "server_label": TEXT, "name": nullable(TEXT)}, "server_label"
                    ),
                },
            ),
        ),
    )
    max_tokens = either("an integer or 'inf'", (int, integer(1, 4096)), (str, one_of("inf")))
    prompt = obj({"id": IDENTIFIER, "version": nullable(TEXT), "variables": nullable(free_object)}, "id")
    reasoning = obj({"effort": one_of("none", "minimal", "low", "medium", "high", "xhigh")})
    audio_input = obj(
        {
            "format": audio_format,
            "noise_reduction": nullable(
                obj({"type": one_of("near_field", "far_field"), "strength": number(0.0, 1.0)})
            ),
            "transcription": nullable(transcription),
            "turn_detection": nullable(turn_detection),
        }
    )
    session = tagged(
        "type",
        {
            "realtime": obj(
                {
                    "type": anything,
                    "model": string(longest=256),
                    "instructions": TEXT,
                    "output_modalities": _modalities,
                    "audio": obj(
                        {
                            "input": audio_input,
                            "output": obj(
                                {"format": audio_format, "voice": voice, "speed": number(0.25, 1.5)}
                            ),
                        }
                    ),
                    "tools": tools,
                    "tool_choice": tool_choice,
                    "parallel_tool_calls": nullable(boolean),
                    "max_output_tokens": max_tokens,
                    "prompt": nullable(prompt),
                    "reasoning": nullable(reasoning),
                    "tracing": nullable(
                        either("'auto' or an object", (str, one_of("auto")), (dict, free_object))
                    ),
                    "truncation": either(
                        "a string or an object", (str, one_of("auto", "disabled")), (dict, free_object)
                    ),
                    "include": nullable(array(one_of("item.input_audio_transcription.logprobs"))),
                },
                "type",
            )
        },
    )
    item = item_check(strict)
    response = obj(
        {
            "instructions": TEXT,
            "metadata": nullable(metadata),
            "conversation": one_of("auto", "none"),
            "input": array(
                tagged(
                    "type",
                    {**_item_cases(strict), "item_reference": obj({"type": anything, "id": TEXT}, "id")},
                ),
                most=1024,
            ),
            "output_modalities": _modalities,
            "audio": obj({"output": obj({"format": audio_format, "voice": voice})}),
            "tools": tools,
            "tool_choice": tool_choice,
            "parallel_tool_calls": nullable(boolean),
            "max_output_tokens": max_tokens,
            "prompt": nullable(prompt),
            "reasoning": nullable(reasoning),
        }
    )
    events = {
        "session.update": event("session.update", {"session": session}, "session"),
        "input_audio_buffer.append": event("input_audio_buffer.append", {"audio": AUDIO}, "audio"),
        "input_audio_buffer.commit": event("input_audio_buffer.commit", {}),
        "input_audio_buffer.clear": event("input_audio_buffer.clear", {}),
        "output_audio_buffer.clear": event("output_audio_buffer.clear", {}),
        "conversation.item.create": event(
            "conversation.item.create", {"item": item, "previous_item_id": nullable(IDENTIFIER)}, "item"
        ),
        "conversation.item.retrieve": event("conversation.item.retrieve", {"item_id": IDENTIFIER}, "item_id"),
        "conversation.item.truncate": event(
            "conversation.item.truncate",
            {"item_id": IDENTIFIER, "content_index": integer(0), "audio_end_ms": integer(0)},
            "item_id",
            "content_index",
            "audio_end_ms",
        ),
        "conversation.item.delete": event("conversation.item.delete", {"item_id": IDENTIFIER}, "item_id"),
        "response.create": event("response.create", {"response": response}),
        "response.cancel": event("response.cancel", {"response_id": IDENTIFIER}),
    }
    return events, session


@lru_cache(maxsize=2)
def item_check(strict: bool) -> Check:
    """Return the check of an item that a client may put into the conversation."""
    return tagged("type", _item_cases(strict))


def _item_cases(strict: bool) -> dict[str, Check]:
    head: dict[str, Check] = {
        "type": anything,
        "id": nullable(string(longest=32)),
        "object": nullable(one_of("realtime.item")),
        "status": nullable(one_of("completed", "incomplete", "in_progress")),
    }

    def obj(fields: Mapping[str, Check], *required: str) -> Check:
        return table(fields, required, strict=strict)

    def message(parts: Mapping[str, Check]) -> Check:
        content = array(tagged("type", parts), most=64)
        return obj({**head, "role": anything, "content": content}, "content")

    input_text = obj({"type": anything, "text": TEXT}, "text")
    messages = {
        "system": message({"input_text": input_text}),
        "user": message(
            {
                "input_text": input_text,
                "input_audio": obj({"type": anything, "audio": AUDIO, "transcript": nullable(TEXT)}, "audio"),
                "input_image": obj(
                    {"type": anything, "image_url": AUDIO, "detail": one_of("auto", "low", "high")},
                    "image_url",
                ),
            }
        ),
        "assistant": message(
            {
                "output_text": obj({"type": anything, "text": TEXT}, "text"),
                "output_audio": obj(
                    {"type": anything, "audio": nullable(AUDIO), "transcript": nullable(TEXT)}, "type"
                ),
            }
        ),
    }
    return {
        "message": tagged("role", messages),
        "function_call": obj(
            {**head, "name": string(longest=64), "call_id": IDENTIFIER, "arguments": TEXT},
            "name",
            "arguments",
        ),
        "function_call_output": obj({**head, "call_id": IDENTIFIER, "output": TEXT}, "call_id", "output"),
    }


def _modalities(value: Any, path: str) -> Any:
    found = array(one_of("text", "audio"), most=2)(value, path)
    if found not in (["audio"], ["text"]):
        raise wrong_value(
            path, f"Invalid modalities: {found}. Supported combinations are: ['text'] and ['audio']."
        )
    return found
