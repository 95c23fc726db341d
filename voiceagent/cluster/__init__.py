"""Which node has the call: registry, commands, events, leases. One port, two fulfilments: local and redis."""
