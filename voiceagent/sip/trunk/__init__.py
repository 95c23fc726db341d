"""PURE. Who may call and by which rules; registrations and keep-alive of our own."""

DEFAULT_TRUNK = "default"
"""Name of the trunk that stands for sip.allowed_sources."""
