"""The SIP message layer: bytes to messages and back, and what is refused."""
