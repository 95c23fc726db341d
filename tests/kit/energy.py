"""What the caller of a :class:`~tests.kit.fake_leg.FakeLeg` hears, 20 ms by 20 ms: the longest silence."""

from __future__ import annotations

from tests.kit.story import Story
from voiceagent.call.dead_air import BLINK_S, FRAME_S, is_sound


class EnergyMeter:
    """Measures what really goes out, frame by frame; the product's own meter reckons from what it queued."""

    def __init__(self, story: Story) -> None:
        self._call = story.call
        self._run = 0
        self._not_ours = 0
        self.longest_s = 0.0
        """Longest silence while it was our turn."""
        story.leg.on_frame = self._frame

    def _frame(self, frame: bytes | None) -> None:
        self._not_ours = 0 if self._call.watch.our_turn else self._not_ours + 1
        silent = frame is None or not is_sound(frame, "audio/pcmu")
        self._run = self._run + 1 if silent and self._not_ours * FRAME_S <= BLINK_S else 0
        if not self._not_ours:
            self.longest_s = max(self.longest_s, self._run * FRAME_S)
