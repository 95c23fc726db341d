"""PURE. How the model is told to say something exactly, or to go on with it."""

from __future__ import annotations


def verbatim(text: str) -> str:
    """Return instructions that have ``text`` spoken word for word."""
    words = f"{text}".replace('"', "'")
    return f'Say exactly this, word for word, and nothing else: "{words}"'


def going_on(guidance: str, heard: str) -> str:
    """Return guidance for the rest of a reply of which ``heard`` are the last words that were heard."""
    words = heard.replace('"', "'")
    return (
        f'You were cut off by a noise. The caller has heard you say "… {words}". Go on right after these '
        f"words, without repeating them and without a new greeting. What it was about: {guidance}"
    )
