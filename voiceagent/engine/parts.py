"""The listening and speaking parts that the settings name, built-in or plugged in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from typing import Any

from voiceagent.engine.ports import Recogniser, Vad, Voice
from voiceagent.errors import ConfigError

_EXTRA = "pip install 'voiceagent[embedded]'"


@dataclass(frozen=True, slots=True)
class EngineParts:
    """What the provider listens and speaks with. Owns the recogniser and the voice."""

    vad_factory: Callable[[], Vad]
    """A fresh detector per stream; 8 kHz."""
    recogniser: Recogniser
    voice: Voice
    facts: dict[str, Any] = field(default_factory=dict[str, Any])

    def describe(self) -> dict[str, Any]:
        """Return what was chosen and what else is there, as plain JSON values, for ``doctor``."""
        return dict(self.facts)

    async def warm_up(self) -> None:
        """Load everything that the first call would else wait for."""
        await self.recogniser.warm_up()
        await self.voice.warm_up()
        self.vad_factory()

    async def close(self) -> None:
        """End the workers."""
        try:
            await self.recogniser.close()
        finally:
            await self.voice.close()


def build_parts(
    *, voice: str = "auto", recogniser: str = "auto", vad: str = "auto", language: str = "en"
) -> EngineParts:
    """Return the parts by name. Nothing is started: see :meth:`EngineParts.warm_up`.

    ``voice``
        "auto" (flite's ``slt`` when the system has flite, else eSpeak NG), "flite", "flite:rms",
        "espeak", "espeak:en-gb-x-rp+f3", or a plug-in's name (entry points ``voiceagent.tts``).
    ``recogniser``
        "auto" or "pocketsphinx", or a plug-in's name (``voiceagent.stt``).
    ``vad``
        "auto" (the best installed), "silero", "webrtc", "energy", or a plug-in's name (``voiceagent.vad``).
    ``language``
        BCP 47; the built-in recogniser hears English only, eSpeak NG speaks many.

    Raises :class:`ConfigError` naming ``engine.voice``, ``engine.recogniser``, ``engine.vad`` or
    ``engine.language``, with what to install.
    """
    vad_name, factory = _vad(vad)
    ear = _recogniser(recogniser, language)
    mouth = _voice(voice, language)
    return EngineParts(factory, ear, mouth, _facts(vad_name, ear, mouth, language))


def plug_ins(group: str) -> dict[str, EntryPoint]:
    """Return the entry points of ``voiceagent.<group>`` by name; none is loaded."""
    return {point.name: point for point in entry_points(group=f"voiceagent.{group}")}


def _plugged(group: str, name: str, setting: str) -> Callable[[], Any] | None:
    point = plug_ins(group).get(name)
    if point is None:
        return None
    try:
        return point.load()
    except Exception as error:
        raise ConfigError(
            setting, f"the plug-in {name!r} ({point.value}) could not be loaded: {error}"
        ) from error


def _unknown(setting: str, name: str, group: str, known: tuple[str, ...]) -> ConfigError:
    names = ", ".join((*known, *sorted(plug_ins(group))))
    return ConfigError(setting, f"unknown name {name!r}; there are {names} (plug-ins: voiceagent.{group})")


def _vad(name: str) -> tuple[str, Callable[[], Vad]]:
    from voiceagent.engine.vad import KINDS, vad_factory

    if name != "auto" and name not in KINDS:
        factory = _plugged("vad", name, "engine.vad")
        if factory is None:
            raise _unknown("engine.vad", name, "vad", ("auto", *KINDS))
        return name, factory
    return vad_factory(name)


def _recogniser(name: str, language: str) -> Recogniser:
    if name not in ("auto", "pocketsphinx"):
        factory = _plugged("stt", name, "engine.recogniser")
        if factory is None:
            raise _unknown("engine.recogniser", name, "stt", ("auto", "pocketsphinx"))
        return factory()
    if not _english(language):
        raise ConfigError(
            "engine.language",
            f"the built-in recogniser hears English only, not {language!r}; plug in another",
        )
    for module in ("numpy", "pocketsphinx"):
        if find_spec(module) is None:
            raise ConfigError("engine.recogniser", f"{module} is not installed; {_EXTRA}")
    from voiceagent.engine.stt.recogniser import PocketsphinxRecogniser

    return PocketsphinxRecogniser()


def _voice(name: str, language: str) -> Voice:
    kind, _, variant = name.partition(":")
    if kind not in ("auto", "flite", "espeak"):
        factory = _plugged("tts", name, "engine.voice")
        if factory is None:
            raise _unknown("engine.voice", name, "tts", ("auto", "flite", "espeak"))
        return factory()
    if find_spec("numpy") is None:
        raise ConfigError("engine.voice", f"numpy is not installed; {_EXTRA}")
    from voiceagent.engine.tts.espeak import EspeakVoice
    from voiceagent.engine.tts.flite import FliteVoice

    if kind == "flite":
        return FliteVoice(variant or "slt")
    if kind == "auto" and _english(language):
        try:
            return FliteVoice("slt")
        except ConfigError:
            pass
    try:
        return EspeakVoice(variant or ("en-us" if _english(language) else language.lower()))
    except ConfigError as error:
        if kind == "auto":
            raise ConfigError(
                "engine.voice", f"neither flite nor eSpeak NG is here; {_EXTRA}, or install flite"
            ) from error
        raise


def _english(language: str) -> bool:
    return language.lower().partition("-")[0] == "en"


def _facts(vad: str, recogniser: Recogniser, voice: Voice, language: str) -> dict[str, Any]:
    from voiceagent.engine.tts import espeak
    from voiceagent.engine.vad import KINDS, present

    return {
        "vad": vad,
        "recogniser": recogniser.name,
        "voice": voice.name,
        "voice_rate": voice.rate,
        "voice_through": getattr(voice, "through", "plug-in"),
        "language": language,
        "available": {
            "vad": [*(kind for kind in KINDS if present(kind)), *plug_ins("vad")],
            "recogniser": [*(["pocketsphinx"] if find_spec("pocketsphinx") else []), *plug_ins("stt")],
            "voice": [
                *(["flite"] if flite_present() else []),
                *(["espeak"] if espeak.wheel_present() or espeak.command() else []),
                *plug_ins("tts"),
            ],
        },
    }


def flite_present() -> bool:
    """Whether flite can speak here, by library or by command."""
    from voiceagent.engine.tts.flite import FliteVoice

    try:
        FliteVoice("slt")
    except ConfigError:
        return False
    return True
