"""A SIP phone for terminals, demos and tests: dials, speaks, listens, records."""
