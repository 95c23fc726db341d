"""voiceagent: phone calls answered by a realtime voice model."""

__version__ = "0.1.0"
