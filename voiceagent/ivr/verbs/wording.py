"""PURE. The sentences that verbs put around what a flow wants said."""

from __future__ import annotations


def verbatim(text: str) -> str:
    """Return instructions that have ``text`` spoken word for word."""
    words = f"{text}".replace('"', "'")
    return f'Say exactly this, word for word, and nothing else: "{words}"'


def repaired(excuse: str, prompt: str, keys: str) -> str:
    """Return the prompt of a further attempt: excuse, question and, on the last one, the keys."""
    parts = [f'Say "{excuse}"', f"Then: {prompt}"]
    if keys:
        parts.append(f'Then: Say "{keys}"')
    return " ".join(parts)
