"""What the caller of a :class:`~tests.kit.fake_leg.FakeLeg` hears, 20 ms by 20 ms: the longest silence."""

from __future__ import annotations

from tests.kit.story import Story
from voiceagent.call.dead_air import FRAME_S, is_sound


class EnergyMeter:
    """Measures what really goes out, frame by frame; the product's own meter reckons from what it queued."""

    def __init__(self, story: Story) -> None:
        self._call = story.call
        self._run = 0
        self.longest_s = 0.0
        """Longest silence while it was our turn."""
        self.frames = 0
        self.overlaps = 0
        story.leg.on_frame = self._frame

    def _frame(self, frame: bytes | None) -> None:
        self.frames += 1
        if (frame is not None and is_sound(frame, "audio/pcmu")) or not self._call.watch.our_turn:
            self._run = 0
        else:
            self._run += 1
            self.longest_s = max(self.longest_s, self._run * FRAME_S)
