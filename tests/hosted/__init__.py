"""Calls that the provider terminates: webhook, REST, control socket, and the same call handler."""
