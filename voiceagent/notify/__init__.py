"""Outgoing webhooks: what happens here, told to other programs as Standard Webhooks have it."""
