"""PURE. Who may call and by which rules; registrations and keep-alive of our own."""
