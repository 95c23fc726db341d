"""Tests of the media room: RTP, digits, buffers, playout, ports and the wheel."""
