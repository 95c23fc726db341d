"""The embedded provider as the host of calls: SIP in, webhook out, calls REST, control sockets."""
