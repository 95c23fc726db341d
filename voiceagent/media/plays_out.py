"""What every port on the wheel does alike with what it sends: the agent's audio, music, a tap."""

from __future__ import annotations

from collections.abc import Callable

from voiceagent.media.playout import Heard
from voiceagent.media.stream_out import StreamOut
from voiceagent.media.wheel import MediaWheel, WheelPort


class PlaysOut(WheelPort):
    """The sending half of a port, over its ``_out`` and ``_wheel``."""

    __slots__ = ()

    _out: StreamOut
    _wheel: MediaWheel

    def play(self, audio: bytes, response_id: str, item_id: str) -> None:
        """Queue agent audio (G.711 of the law of the line, any length)."""
        self._out.play(audio, response_id, item_id)
        if not self._out.talking:
            self._hasten()

    def play_end(self, response_id: str) -> None:
        """No more audio of this response will come."""
        self._out.play_end(response_id)
        if not self._out.talking:
            self._hasten()

    def stop_playing(self) -> list[Heard]:
        """Silence from the next packet on; return what was heard of every item that was not finished.

        Audio of the cut responses that comes later is dropped. Items returned here are not told through
        ``on_playback_ended``.
        """
        return self._out.stop_playing()

    def play_music(self, music: Callable[[], bytes] | None) -> None:
        """Send these frames (G.711 of the agreed law) in place of silence; None ends it."""
        self._out.music = music

    def tap(self, tap: Callable[[bytes], None] | None) -> None:
        """Have ``tap`` called with every frame that goes out, as it goes out; keys are left out."""
        self._out.tap = tap

    def _hasten(self) -> None:
        if self.turning and self._out.eager:
            self._out.lead += self._wheel.hasten(self)
