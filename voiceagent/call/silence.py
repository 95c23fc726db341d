"""PURE. A caller's side that sends no RTP: is it asked once more whether it is there, or given up?

A phone with silence suppression sends nothing while its user only listens or has muted, so silence alone ends
no call: the phone is asked (OPTIONS within the dialog), and a call that it no longer knows is over. One that
answers again and again may be an SBC that speaks for a phone long gone, or a path that lets no media
through: after ``probes`` answers in one silence (15, 20 s apart, are five minutes) the call ends anyway.
"""

from __future__ import annotations


class SilenceWatch:
    """Counts the probes of one silence. ``probes`` 0 asks for ever."""

    def __init__(self, probes: int) -> None:
        self._probes = probes
        self._last_s = 0.0
        self.asked = 0
        """Probes in this silence."""

    def gives_up(self, silence_s: float) -> bool:
        """Judge a silence of so many seconds: True ends the call, False asks (once more)."""
        if silence_s <= self._last_s:
            self.asked = 0  # there was sound in between
        self._last_s = silence_s
        if self._probes and self.asked >= self._probes:
            return True
        self.asked += 1
        return False
