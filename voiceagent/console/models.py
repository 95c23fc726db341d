"""Bodies in and out, as types: strict where we read, documented where we write."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

INSTRUCTIONS_CHARS = 16_384
DEADLINE_MS = 3_600_000


class TriggerBody(BaseModel):
    """A wish that the model speak. Every field may be left out."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={
            "examples": [
                {
                    "instructions": "Tell the caller that the technician arrives at three o'clock.",
                    "metadata": {"purpose": "appointment"},
                    "when": "idle",
                    "deadline_ms": 30_000,
                },
                {"instructions": "The caller's parcel is at the depot.", "note_only": True},
            ]
        },
    )

    instructions: Annotated[str, Field(min_length=1, max_length=INSTRUCTIONS_CHARS)] | None = Field(
        default=None,
        description="What to say, or how. Without it the model answers as the conversation stands.",
    )
    metadata: dict[str, str] | None = Field(
        default=None,
        description="Up to 13 pairs: keys of 1 to 64 characters not beginning with `va.`, values up to 512.",
    )
    when: Literal["idle", "after_playback", "now"] = Field(
        default="idle",
        description="`idle`: as soon as no response is alive. `after_playback`: and nothing is audible. "
        "`now`: interrupt what is being said.",
    )
    deadline_ms: Annotated[int, Field(ge=1, le=DEADLINE_MS)] | None = Field(
        default=None, description="Expire when it could not be started within this time."
    )
    coalesce: Annotated[str, Field(min_length=1, max_length=64)] | None = Field(
        default=None, description="A newer waiting request with the same word supersedes this one."
    )
    note_only: bool = Field(
        default=False,
        description="Add `instructions` to the conversation for the agent to know, and say nothing. It never "
        "waits: `when`, `deadline_ms` and `coalesce` do not matter, and the state is `noted` at once.",
    )


class DialBody(BaseModel):
    """A call to be placed."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        populate_by_name=True,
        json_schema_extra={
            "examples": [
                {
                    "to": "sip:100@127.0.0.1:5070",
                    "flow": "front-desk",
                    "metadata": {"appointment": "tomorrow at three"},
                }
            ]
        },
    )

    to: Annotated[str, Field(min_length=1, max_length=256)] = Field(
        description="Whom to call: a number or a SIP URI that `outbound.allowed` covers."
    )
    flow: Annotated[str, Field(min_length=1, max_length=128)] = Field(description="Name of the flow.")
    from_: Annotated[str, Field(min_length=1, max_length=64)] | None = Field(
        default=None, alias="from", description="Number or name that we call as; default: the trunk's."
    )
    from_name: Annotated[str, Field(max_length=128)] | None = Field(
        default=None, description="Name to be displayed."
    )
    headers: dict[str, str] | None = Field(
        default=None, description="Headers of the INVITE, up to 20; none of SIP's own."
    )
    trunk: Annotated[str, Field(min_length=1, max_length=64)] | None = Field(
        default=None, description="Name of the trunk; default: by number, or straight to the URI's host."
    )
    metadata: dict[str, str] | None = Field(
        default=None, description="Up to 8 pairs for the flow (`call.metadata`) and every response."
    )
    ring_timeout_s: Annotated[float, Field(gt=0, le=290)] | None = Field(
        default=None, description="How long it may ring; default: `outbound.ring_timeout_s`."
    )
    consent_reference: Annotated[str, Field(min_length=1, max_length=128)] | None = Field(
        default=None, description="Where the callee's consent is kept; it stands in the journal."
    )


class TransferBody(BaseModel):
    """Whom the caller is handed to."""

    model_config = ConfigDict(
        extra="forbid", strict=True, json_schema_extra={"examples": [{"target": "sip:desk@pbx.example.com"}]}
    )

    target: Annotated[str, Field(min_length=1, max_length=256)] = Field(
        description="A number or a SIP URI that `call.transfer_targets` covers."
    )
    attended: bool = Field(
        default=False,
        description="Call the target first, while the caller hears music, and then join the two.",
    )


class DigitsBody(BaseModel):
    """Keys to be pressed."""

    model_config = ConfigDict(
        extra="forbid", strict=True, json_schema_extra={"examples": [{"digits": "12#"}]}
    )

    digits: Annotated[str, Field(pattern=r"^[0-9A-D*#]{1,64}$")] = Field(
        description="1 to 64 of 0-9, *, #, A-D."
    )


class SignInBody(BaseModel):
    """Name and password, or a key (also the token of the first run), to be exchanged for a session cookie."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={"examples": [{"name": "ann", "password": "correct horse battery"}]},
    )

    name: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    password: Annotated[str, Field(min_length=1, max_length=1024)] | None = None
    token: Annotated[str, Field(min_length=1, max_length=1024)] | None = None

    @model_validator(mode="after")
    def _one_way(self) -> SignInBody:
        if (self.token is None) == (self.name is None or self.password is None):
            raise ValueError("send either token, or name and password")
        return self


class PasswordBody(BaseModel):
    """A new password for oneself."""

    model_config = ConfigDict(extra="forbid", strict=True)

    current: Annotated[str, Field(min_length=1, max_length=1024)]
    new: Annotated[str, Field(min_length=1, max_length=1024)] = Field(description="12 to 256 characters.")


RoleName = Literal["viewer", "operator", "supervisor", "admin"]


class Session(BaseModel):
    """Who is signed in, and what they may do."""

    name: str
    kind: str = Field(description="user, key or token.")
    role: RoleName
    via: Literal["bearer", "cookie"]
    rights: list[str] = Field(description="view, act, listen, manage, admin.")
    first_run: bool = Field(description="Signed in by the token of the first run: make an admin.")


class UserBody(BaseModel):
    """Somebody who may sign in."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={
            "examples": [{"name": "ann", "role": "operator", "password": "correct horse battery"}]
        },
    )

    name: Annotated[str, Field(min_length=1, max_length=64)]
    role: RoleName
    password: Annotated[str, Field(min_length=1, max_length=1024)] = Field(
        description="12 to 256 characters."
    )


class ChangeUserBody(BaseModel):
    """What is to be different about a user."""

    model_config = ConfigDict(
        extra="forbid", strict=True, json_schema_extra={"examples": [{"disabled": True}]}
    )

    role: RoleName | None = None
    password: Annotated[str, Field(min_length=1, max_length=1024)] | None = None
    disabled: bool | None = None


class UserModel(BaseModel):
    """A user."""

    id: str
    name: str
    role: RoleName
    disabled: bool
    has_password: bool
    created_at: float = Field(description="Unix time.")
    changed_at: float


class UserList(BaseModel):
    """Every user by name."""

    users: list[UserModel]


class KeyBody(BaseModel):
    """A key for a program."""

    model_config = ConfigDict(
        extra="forbid", strict=True, json_schema_extra={"examples": [{"name": "dialler", "role": "operator"}]}
    )

    name: Annotated[str, Field(min_length=1, max_length=64)]
    role: RoleName
    expires_at: float | None = Field(default=None, description="Unix time; default: never.")


class KeyModel(BaseModel):
    """A key, without itself."""

    id: str
    name: str
    role: RoleName
    created_at: float
    created_by: str
    expires_at: float | None
    revoked_at: float | None
    used_at: float | None = Field(description="To some seconds.")


class KeyMade(KeyModel):
    """A new key; ``key`` is shown this once."""

    key: str


class KeyList(BaseModel):
    """Every key, the newest first."""

    keys: list[KeyModel]


class AuditLineModel(BaseModel):
    """One line of the audit log."""

    n: int
    at: float
    actor: str
    role: str
    via: str
    peer: str
    action: str
    target: str
    result: str = Field(description="done, or the code of the refusal.")
    detail: dict[str, Any]
    previous: str
    hash: str = Field(description="SHA-256 over the other fields as canonical JSON.")


class AuditList(BaseModel):
    """Lines of the audit log, the newest first."""

    lines: list[AuditLineModel]
    waiting: int = Field(description="Lines that are not written yet.")


class AuditVerdict(BaseModel):
    """Whether the audit log is as it was written."""

    whole: bool
    lines: int
    problem: str
    last_hash: str = Field(description="Keep it elsewhere to show later that nothing was cut off.")


class Line(BaseModel):
    """One utterance. ``text`` is what was heard; ``full_text`` is what was generated."""

    at: float = Field(description="Seconds since the call began.")
    speaker: str = Field(
        description="caller, agent, operator or system; note: what the agent was told and nobody heard."
    )
    text: str
    full_text: str
    item_id: str
    cut: bool = Field(description="True when hearing stopped before the end.")


class ResponseModel(BaseModel):
    """One response request."""

    id: str
    call_id: str
    origin: str = Field(description="safety, operator, turn, tool, ivr or idle.")
    instructions: str | None
    metadata: dict[str, str]
    state: str = Field(
        description="queued, sent, started, audible, generated, played; then the outcome's kind: completed, "
        "interrupted, satisfied, superseded, withdrawn, expired, rejected, failed or lost. `noted`: it was a "
        "note, and is complete."
    )
    ended: bool
    reason: str = Field(description="Why it waits, or how it ended.")
    submitted_at: float
    outcome: dict[str, Any] | None = Field(
        description="Once ended: kind, heard_ms, heard_text, response_id, code, reason."
    )
    links: dict[str, str]


class Accepted(ResponseModel):
    """A trigger was taken; ``request_id`` is the response's ``id``."""

    request_id: str


class HandingOver(BaseModel):
    """A transfer, under way or over."""

    target: str
    attended: bool
    state: str = Field(description="trying, done or failed.")
    status: int | None = Field(description="SIP status that was told last.")
    reason: str


class ListenerModel(BaseModel):
    """One who listens to a call."""

    name: str
    since: float = Field(description="Unix time.")


class RecordingState(BaseModel):
    """Whether a call is recorded."""

    state: str = Field(description="running, paused, or empty while nothing is recorded.")
    files: list[str] = Field(description="Names of the recordings that were begun.")


class CallModel(BaseModel):
    """A call in the list."""

    id: str
    caller: str
    called: str
    kind: str
    direction: str = Field(description="inbound or outbound.")
    flow: str
    step: str
    state: str = Field(description="offered, dialling, ringing, talking, closing or ended.")
    started_at: float = Field(description="Unix time.")
    duration_s: float
    floor: str = Field(description="Who speaks now: caller, agent, operator or nobody.")
    last_words: str
    provider: str
    trunk: str = Field(description="Over which trunk it came or goes; empty on hosted calls.")
    outcome: dict[str, Any] | None
    figures: dict[str, float | None]
    held_by: list[str] = Field(description="us: the caller hears music; caller: it does not hear us.")
    abilities: list[str] = Field(
        description="What it takes: hold (and resume), transfer, consult (attended), send_digits, listen, "
        "take_over (and hand_back)."
    )
    transfer: HandingOver | None = Field(description="The newest transfer, whoever asked for it.")
    tags: list[str] = Field(description="Words that operators put on it.")
    recording: RecordingState
    listeners: list[ListenerModel] = Field(description="Who hears this call now, in the order of coming.")
    taken_over_by: str = Field(description="Who speaks with the caller in the agent's place, or nobody.")
    node: str = Field(description="Which node of the fleet has it.")
    stale: bool = Field(description="The fleet's registry is away: this is how it stood before.")
    trace_id: str = Field(description="Of its trace at the collector; empty where it is not traced.")
    links: dict[str, str]


class Dialling(CallModel):
    """A call is being placed; ``call_id`` is its ``id``."""

    call_id: str


class CallDetail(CallModel):
    """A call with all that was said and asked."""

    transcript: list[Line]
    responses: list[ResponseModel]


class TrunkServer(BaseModel):
    """One server of a trunk."""

    address: str = Field(description="HOST:PORT/TRANSPORT.")
    state: str = Field(description="up, down or unknown.")


class TrunkModel(BaseModel):
    """How one trunk stands."""

    name: str
    up: bool
    registration: str = Field(description="off, registering, registered, failed, refused or unregistered.")
    keepalive: str = Field(description="off, unknown, up or down.")
    detail: str
    calls: int
    max_calls: int = Field(description="The cap; 0: as many as the node takes.")
    servers: list[TrunkServer]


class TrunkList(BaseModel):
    """The trunks in the order of the settings."""

    trunks: list[TrunkModel]


class FlowModel(BaseModel):
    """One flow in force."""

    name: str
    numbers: list[str] = Field(description="Its own numbers; routes come before them.")
    source: str = Field(description="The file it was read from.")


class RouteModel(BaseModel):
    """One route in force."""

    place: int = Field(description="Counts from 1; the first that holds wins.")
    flow: str
    when: dict[str, Any] = Field(description="What must hold, as in the settings; empty: always.")


class RefusedFlows(BaseModel):
    """Newer flows that were not taken."""

    at: float = Field(description="Unix time.")
    by: str
    problems: list[str]


class FlowSet(BaseModel):
    """The flows in force, and which calls they answer."""

    version: int = Field(description="Rises by one with every reload that is taken.")
    loaded_at: float = Field(description="Unix time.")
    loaded_by: str = Field(description="start, SIGHUP, or who asked.")
    flows: list[FlowModel]
    routes: list[RouteModel]
    default_flow: str
    needs_restart: list[str] = Field(
        description="Settings that stand otherwise in the file by now, and that a reload does not take over."
    )
    refused: RefusedFlows | None = Field(description="The last reload, if it was refused.")


class CallList(BaseModel):
    """Live calls first, then the most recent ended ones."""

    calls: list[CallModel]


class ResponseList(BaseModel):
    """The response requests of one call, oldest first."""

    responses: list[ResponseModel]


class ProblemModel(BaseModel):
    """A refusal (RFC 9457)."""

    type: str
    title: str
    status: int
    code: str = Field(description="Stable; meant for programs.")
    detail: str
    field: str | None = Field(
        default=None, description="The part of the request at fault, e.g. `metadata.turn`."
    )
    errors: list[dict[str, str]] = Field(default_factory=list[dict[str, str]])
    remedy: str | None = None


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI entries of these refusals."""
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/ProblemModel"}}}
    words = {
        400: "Malformed; `detail` names the part",
        413: "The body is too large",
        416: "The range begins beyond the end of the file",
        401: "No valid credential",
        403: "Not with this credential, or not from our page",
        404: "Unknown call, response or flow",
        409: "The call has ended, `outcome` says how; or this is not allowed, or not now",
        422: "A part of the request is wrong; `field` names it",
        429: "Too fast, see Retry-After; or too many requests wait in this call, and `before` lists them",
        501: "Not installed here; `remedy` says how",
        503: "Closing, or no place for one more; or the call's node, or the fleet's registry, is away",
        504: "The call's node did not do it in time, or did not answer: `code` tells them apart",
    }
    return {status: {"description": words[status], "content": content} for status in statuses}
