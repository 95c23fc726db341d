"""The wire: sockets, streams, TLS and DNS (with their pure parts: framing, deadlines, SRV order)."""
