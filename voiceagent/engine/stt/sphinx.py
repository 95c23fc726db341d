"""The decoder itself. Lives in a worker process: the binding holds the GIL for a whole decode."""

from __future__ import annotations

import importlib
import tempfile
from collections import OrderedDict
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from voiceagent.engine.cache import cache_folder
from voiceagent.engine.ports import Expectation, ExpectKind, Hypothesis
from voiceagent.engine.stt.arpa import arpa
from voiceagent.engine.stt.framing import frame_turn
from voiceagent.engine.stt.grammar import digits_of, listening, meaning, words_of
from voiceagent.engine.stt.lexicon import Lexicon, dictionary_text
from voiceagent.engine.stt.narrowband import RATE, narrowband_model

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

KEPT_QUESTIONS = 12
"""Questions kept ready per worker (8 MB each); a further one drops the one asked longest ago."""

OPTIONS: dict[str, Any] = {"silprob": 0.3, "fillprob": 0.01, "wip": 0.01, "topn": 8}
"""The default ``silprob`` makes phantom digits out of line noise ("five one" for "one"). ``topn``
counts the Gaussians that score each codebook: 8 instead of 4 is worth two points and costs 25 %."""

_STRICT, _FREE = "grammar", "ngram"


class SphinxDecoder:
    """Decoders with the telephone-band model, one per question; not thread-safe.

    Each knows only the words of its question: with the whole dictionary an n-gram search takes half a second
    and 17 MB to set up, with the question's own words 40 ms and 8 MB.
    """

    def __init__(self, cache: Path | None = None, **options: Any) -> None:
        pocketsphinx: Any = importlib.import_module("pocketsphinx")
        stock = Path(pocketsphinx.get_model_path("en-us/en-us"))
        model = narrowband_model(stock, cache or cache_folder())
        self._sphinx: Any = pocketsphinx
        self._config: dict[str, Any] = {
            "hmm": str(stock),
            "mean": str(model / "means"),
            "var": str(model / "variances"),
            "featparams": str(model / "feat.params"),
            "samprate": RATE,
            "lm": None,
            "loglevel": "FATAL",
            **OPTIONS,
            **options,
        }
        self.lexicon = Lexicon(Path(pocketsphinx.get_model_path("en-us/cmudict-en-us.dict")))
        self._ready: OrderedDict[Expectation, Any] = OrderedDict()

    def prepare(self, expect: Expectation) -> None:
        """Make the question's decoder now, so that its first turn is not slow."""
        self._decoder(expect)

    def decode(self, samples: NDArray[np.float64], expect: Expectation) -> Hypothesis:
        """Return what one turn of 8 kHz ``samples`` says."""
        began = perf_counter()
        decoder = self._decoder(expect)
        turn = frame_turn(samples).tobytes()
        strict = _pass(decoder, _STRICT, turn)
        free = _pass(decoder, _FREE, turn) if strict or expect.kind is ExpectKind.ANYTHING else []
        text, confident, alternative = agree(strict, free, expect)
        return Hypothesis(text, confident, alternative, (perf_counter() - began) * 1000)

    def _decoder(self, expect: Expectation) -> Any:
        decoder = self._ready.get(expect)
        if decoder is None:
            decoder = self._ready[expect] = self._make(expect)
            if len(self._ready) > KEPT_QUESTIONS:
                self._ready.popitem(last=False)
        self._ready.move_to_end(expect)
        return decoder

    def _make(self, expect: Expectation) -> Any:
        wanted = listening(expect)
        with tempfile.TemporaryDirectory(prefix="voiceagent-") as folder:
            dictionary, model = Path(folder, "words.dict"), Path(folder, "turn.arpa")
            dictionary.write_text(dictionary_text(self.lexicon.pronounce(wanted.words)), encoding="utf-8")
            model.write_text(arpa(wanted.sentences), encoding="utf-8")
            decoder = self._sphinx.Decoder(dict=str(dictionary), **self._config)
            decoder.add_jsgf_string(_STRICT, wanted.jsgf)
            decoder.add_lm(_FREE, self._sphinx.NGramModel(decoder.config, decoder.logmath, str(model)))
        return decoder


def _pass(decoder: Any, search: str, turn: bytes) -> list[str]:
    decoder.activate_search(search)
    decoder.start_utt()
    decoder.process_raw(turn, full_utt=True)
    decoder.end_utt()
    found = decoder.hyp()
    return words_of(found.hypstr) if found is not None else []


def agree(strict: list[str], free: list[str], expect: Expectation) -> tuple[str, bool, str]:
    """Compare both passes; return the text, whether it is sure, and the guess to ask about."""
    answer = meaning(strict, expect)
    if expect.kind is ExpectKind.DIGITS:
        fits = expect.min_digits <= len(answer) <= expect.max_digits
        if answer and fits and digits_of(free) == answer:
            return answer, True, ""
        return "", False, answer if answer and _mostly_digits(free) else ""
    text = " ".join(strict)
    if answer and (meaning(free, expect) == answer or _same_start(answer, free, expect)):
        return text, True, ""
    guess = text if _resembles(strict, free) else ""
    return (" ".join(free) if expect.kind is ExpectKind.ANYTHING else ""), False, guess


def _same_start(answer: str, free: list[str], expect: Expectation) -> bool:
    """In a short answer to a yes/no question the first word decides: "no soon this" was "no thanks"."""
    return expect.kind is ExpectKind.YES_NO and len(free) <= 3 and meaning(free[:1], expect) == answer


def _mostly_digits(free: list[str]) -> bool:
    digits = sum(digits_of([word]) is not None for word in free)
    return len(free) <= 2 or 2 * digits >= len(free)


def _resembles(strict: list[str], free: list[str]) -> bool:
    """Whether "Did you say …?" makes sense: both heard about as much, or one long word alike."""
    return len(free) <= len(strict) + 2 or any(len(word) > 4 and word in free for word in strict)
