"""PURE. What a flow may set for its own calls; everything left out is as the service's settings say."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from voiceagent.errors import ConfigError
from voiceagent.ivr.languages import ENGLISH, Language, language_of

SPEED = (0.25, 1.5)
"""Of the voice; 1 is its ordinary one."""
SILENCE_MS = (100, 5000)
MAX_OUTPUT_TOKENS = (1, 4096)
IDLE_LINES = 5
IDLE_CHARS = 500
IDLE_S = 600.0
NAME_CHARS = 128


@dataclass(frozen=True, slots=True)
class FlowOptions:
    """Settings of one flow. Make them with :func:`flow_options`, which checks them."""

    voice: str | None = None
    language: str = ENGLISH.tag
    """A tag such as ``de`` or ``de-AT``: what the caller speaks and is spoken to in."""
    model: str | None = None
    """Name of the provider's model. A provider that stands in has its own."""
    speed: float | None = None
    silence_ms: int | None = None
    """Silence that ends the caller's turn."""
    max_output_tokens: int | None = None
    """The most one response may take."""
    idle: tuple[str, ...] = ()
    """What is said to a caller who is silent, stage by stage; empty: the language's own lines."""
    idle_s: float | None = None
    """Silence before each of them; None: ``call.no_input_s``."""
    resume: bool = True
    """Whether a line that a cough has cut is spoken on from there."""
    words: Language = field(init=False, compare=False, default=ENGLISH)
    """The table of ``language``."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "words", language_of(self.language))

    @property
    def standing(self) -> str:
        """The sentence of the standing prompt that names the language; empty for English."""
        if self.words is ENGLISH:
            return ""
        region = f" ({self.language})" if len(self.language) > len(self.words.tag) else ""
        return f"Always speak {self.words.name}{region} with the caller."


def flow_options(
    flow: str,
    *,
    voice: str | None = None,
    language: str = ENGLISH.tag,
    model: str | None = None,
    speed: float | None = None,
    silence_ms: int | None = None,
    max_output_tokens: int | None = None,
    idle: str | Iterable[str] = (),
    idle_s: float | None = None,
    resume: bool = True,
) -> FlowOptions:
    """Return checked options. Raises :class:`~voiceagent.errors.ConfigError` naming flow and field."""
    lines = (idle,) if isinstance(idle, str) else tuple(idle)
    language_of(language, f"flow {flow}: language")
    for name, text in (("voice", voice), ("model", model)):
        if text is not None and not (
            text.strip() == text and 0 < len(text) <= NAME_CHARS and text.isprintable()
        ):
            raise ConfigError(f"flow {flow}: {name}", f"must be a name of 1 to {NAME_CHARS} characters")
    _within(flow, "speed", speed, *SPEED)
    _within(flow, "silence_ms", silence_ms, *SILENCE_MS, whole=True)
    _within(flow, "max_output_tokens", max_output_tokens, *MAX_OUTPUT_TOKENS, whole=True)
    if len(lines) > IDLE_LINES or not all(one.strip() and len(one) <= IDLE_CHARS for one in lines):
        raise ConfigError(
            f"flow {flow}: idle", f"must be at most {IDLE_LINES} lines of 1 to {IDLE_CHARS} characters"
        )
    if idle_s is not None and not 0 < idle_s <= IDLE_S:
        raise ConfigError(f"flow {flow}: idle_s", f"must be more than 0 and at most {IDLE_S:g}")
    return FlowOptions(
        voice=voice,
        language=language,
        model=model,
        speed=speed,
        silence_ms=silence_ms,
        max_output_tokens=max_output_tokens,
        idle=lines,
        idle_s=idle_s,
        resume=resume,
    )


def _within(
    flow: str, field: str, value: float | None, least: float, most: float, *, whole: bool = False
) -> None:
    if value is None:
        return
    if not least <= value <= most or (whole and value != int(value)):
        kind = "a whole number" if whole else "a number"
        raise ConfigError(
            f"flow {flow}: {field}", f"must be {kind} from {least:g} to {most:g}, not {value!r}"
        )
