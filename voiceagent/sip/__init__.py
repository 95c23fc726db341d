"""A SIP user agent (RFC 3261 and friends): a sans-IO core, and one thin UDP transport."""
