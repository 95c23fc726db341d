"""The model's side: wire, link, session and conversation."""
