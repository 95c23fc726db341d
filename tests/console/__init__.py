"""The console: API, live stream, door."""
