"""The embedded realtime provider: the Realtime GA wire on plain CPU, without a key or a network."""
