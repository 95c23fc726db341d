"""The SIP user agent above the message layer."""
