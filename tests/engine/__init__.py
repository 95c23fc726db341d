"""The embedded realtime provider."""
