"""Bodies of the browser phone."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from voiceagent.media.webrtc_sdp import MAX_CHARS

_OFFER = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1\r\nm=audio 9 …"


class PhoneBody(BaseModel):
    """A browser's wish to call the agent."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={"examples": [{"sdp": _OFFER, "to": "+442079460018"}]},
    )

    sdp: Annotated[str, Field(min_length=1, max_length=MAX_CHARS)] = Field(
        description="A WebRTC offer: audio (sendrecv, PCMU or PCMA) and a data channel `events`. Candidates "
        "are not needed: ours are in the answer."
    )
    flow: Annotated[str, Field(min_length=1, max_length=128)] | None = Field(
        default=None, description="The flow that answers. Default: the one that the routes pick."
    )
    to: Annotated[str, Field(pattern=r"^[A-Za-z0-9+*#._\-]{1,64}$")] | None = Field(
        default=None, description="The number that counts as called, for the routes and the flow."
    )


class PhoneCall(BaseModel):
    """The call that was begun."""

    call_id: str
    sdp: str = Field(description="The WebRTC answer, complete with candidates.")
    links: dict[str, str]
