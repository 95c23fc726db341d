"""eSpeak NG's own process: ``python -m voiceagent.engine.tts.espeak_worker``.

eSpeak NG is under the GPL, version 3 or later, so nothing of it is ever loaded into the service's process;
text goes out over a pipe and sound comes back. C API: ``espeak-ng/speak_lib.h``.
"""

from __future__ import annotations

import ctypes
from typing import Any

from voiceagent.engine.workers import Answer, serve

_RETRIEVAL = 1  # AUDIO_OUTPUT_RETRIEVAL: sound goes to the callback
_UTF8 = 1  # espeakCHARS_UTF8
_RATE_PARAMETER = 1  # espeakRATE, words per minute
_SOUND = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


class Espeak:
    """The library, initialised once."""

    def __init__(self) -> None:
        import espeakng_loader

        library: Any = ctypes.CDLL(str(espeakng_loader.get_library_path()))
        data = str(espeakng_loader.get_data_path()).encode()
        self._chunks: list[bytes] = []
        self._callback = _SOUND(self._heard)
        self.rate = int(library.espeak_Initialize(_RETRIEVAL, 0, data, 0))
        if self.rate <= 0:
            raise RuntimeError("eSpeak NG did not start")
        library.espeak_SetSynthCallback(self._callback)
        library.espeak_Synth.argtypes = (
            ctypes.c_char_p,
            ctypes.c_size_t,
            ctypes.c_uint,
            ctypes.c_int,
            ctypes.c_uint,
            ctypes.c_uint,
            ctypes.c_void_p,
            ctypes.c_void_p,
        )
        self._library = library

    def _heard(self, samples: Any, count: int, _events: Any) -> int:
        if samples and count > 0:
            self._chunks.append(ctypes.string_at(samples, 2 * count))
        return 0

    def handle(self, head: dict[str, Any], _body: bytes) -> Answer:
        """Speak ``head["text"]`` with ``head["voice"]`` at ``head["words_per_minute"]``."""
        voice = str(head["voice"])
        if self._library.espeak_SetVoiceByName(voice.encode()) != 0:
            raise ValueError(f"eSpeak NG has no voice {voice!r}")
        self._library.espeak_SetParameter(_RATE_PARAMETER, int(head["words_per_minute"]), 0)
        text = str(head["text"]).encode() + b"\0"
        self._chunks.clear()
        if self._library.espeak_Synth(text, len(text), 0, 0, 0, _UTF8, None, None) != 0:
            raise RuntimeError("eSpeak NG could not speak")
        self._library.espeak_Synchronize()
        return {"rate": self.rate}, b"".join(self._chunks)


if __name__ == "__main__":
    serve(Espeak().handle)
