"""PURE. The languages that flows speak by themselves: one file each. Another one is another file here."""

from __future__ import annotations

from voiceagent.errors import ConfigError
from voiceagent.ivr.languages.de import GERMAN
from voiceagent.ivr.languages.en import ENGLISH
from voiceagent.ivr.languages.es import SPANISH
from voiceagent.ivr.languages.fr import FRENCH
from voiceagent.ivr.languages.table import Language

__all__ = ["ENGLISH", "LANGUAGES", "Language", "language_of"]

LANGUAGES = {one.tag: one for one in (ENGLISH, GERMAN, FRENCH, SPANISH)}


def language_of(tag: str, setting: str = "language") -> Language:
    """Return the language of a BCP 47 tag; a region does not matter: ``en-GB`` is English.

    Raises :class:`~voiceagent.errors.ConfigError` for ``setting``, naming the known ones.
    """
    known = LANGUAGES.get(tag.replace("_", "-").partition("-")[0].lower())
    if known is None:
        raise ConfigError(setting, f"{tag!r} is not known; there are {', '.join(LANGUAGES)}")
    return known
