"""Person names as they are compared (PS3.5 §6.2.1, PS3.4 §C.2.2.2.1.1). Pure.

Literal matching compares folded forms. Fuzzy matching compares words: each word that is asked for must begin one of the
`openings` of the name. Those are made so that the order of the components, spaces and carets between them, and for
Chinese names the script (Han, pinyin, initials) make no difference.
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import TypeVar

from storage import pinyin

GROUPS = 3  # alphabetic, ideographic, phonetic (PS3.5 §6.2.1)
WORDS_LIMIT = 12  # of one component group, and of what is asked for; further ones are not compared
LETTERS_LIMIT = 64  # of one opening
SPELLINGS_LIMIT = 8  # of one name in Han characters
_TURNS_LIMIT = 4  # names of more words are found in their own order and word by word

# Letters that no decomposition of Unicode makes plain.
_PLAIN = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i", "ß": "ss"})
_INSIDE_A_WORD = re.compile("['’ʼ`´]")  # O'Brien is one word

T = TypeVar("T")
Unit = tuple[str, ...]  # what moves as one when a name is turned round: the syllables of a word


def fold(text: str) -> str:
    """The form in which person names are compared: no case, no accents, width-folded, single spaces."""
    decomposed = unicodedata.normalize("NFKD", text)
    bare = "".join(char for char in decomposed if not unicodedata.combining(char))
    return " ".join(bare.casefold().split())


def person_name_forms(value: str) -> list[str]:
    """The folded texts a PN is found by: the whole value and each non-empty component group (PS3.5 §6.2.1)."""
    groups = [fold(group.rstrip("^ ")) for group in value.split("=")]
    whole = fold(value.rstrip("^= "))
    return list(dict.fromkeys(text for text in (whole, *groups) if text))


@lru_cache(maxsize=1024)
def openings(value: str) -> tuple[str, ...]:
    """The texts whose beginnings a name is found by under fuzzy matching; sorted, none begins another."""
    found: set[str] = set()
    for group in value.split("=")[:GROUPS]:
        runs = list(_runs(group))
        han = "".join(run for is_han, run in runs if is_han)
        words = [run for is_han, run in runs if not is_han]
        found.update(_of_han(han[:WORDS_LIMIT]))
        found.update(_of_words(words[:WORDS_LIMIT]))
    texts = sorted({text[:LETTERS_LIMIT] for text in found})
    return tuple(text for text, after in zip(texts, [*texts[1:], ""], strict=False) if not after.startswith(text))


@lru_cache(maxsize=256)
def ways(asked: str) -> tuple[tuple[str, ...], ...]:
    """How to read what was asked for: its words apart, or joined, each of them first in turn. Longest words first."""
    words = [run[:LETTERS_LIMIT] for _, run in _runs(asked)][:WORDS_LIMIT]
    if not words:
        return ()
    apart = tuple(dict.fromkeys(sorted(words, key=len, reverse=True)))
    if not 1 < len(words) <= _TURNS_LIMIT:
        return (apart,)
    joined = dict.fromkeys("".join(turned)[:LETTERS_LIMIT] for turned in _turns(words))
    return (apart, *((text,) for text in joined))


def sounds_like(asked: str, names: Iterable[str]) -> bool:
    """Fuzzy matching of names, taken together, with what was asked for."""
    found = [text for name in names for text in openings(name)]
    return any(all(any(text.startswith(word) for text in found) for word in way) for way in ways(asked))


def _runs(text: str) -> Iterator[tuple[bool, str]]:
    """(whether it is Han, runs of letters and digits, folded)."""
    folded = _INSIDE_A_WORD.sub("", fold(text)).translate(_PLAIN)
    for piece in "".join(char if char.isalnum() else " " for char in folded).split():
        for is_han, run in itertools.groupby(piece, key=pinyin.is_han):
            yield is_han, "".join(run)


def _of_han(chars: str) -> Iterator[str]:
    if not chars:
        return
    yield from _spoken([tuple(chars)])
    size, families = pinyin.surname(chars)
    given = [pinyin.readings(char) for char in chars[size:]]
    for family, *others in itertools.islice(itertools.product(families, *given), SPELLINGS_LIMIT):
        first = pinyin.syllables(family) if size > 1 else (family,)
        yield from _spoken([first, tuple(others)] if others else [first], with_initials=True)


def _of_words(words: Sequence[str]) -> Iterator[str]:
    cut = [pinyin.syllables(word) for word in words]
    if words and all(cut):
        yield from _spoken(cut, with_initials=True)
    else:
        yield from _spoken([(word,) for word in words])


def _spoken(units: Sequence[Unit], *, with_initials: bool = False) -> Iterator[str]:
    """Everything from each part on, as one text, and as initials; from the first part on also with the units turned."""
    for turn, turned in enumerate(_turns(units)):
        parts = [part for unit in turned for part in unit]
        for start in range(1 if turn else len(parts)):
            yield "".join(parts[start:])
            if with_initials and len(parts) - start > 1:
                yield "".join(part[0] for part in parts[start:])


def _turns(items: Sequence[T]) -> Iterator[list[T]]:
    """The items as they are, then, when they are few, each of them first in turn."""
    for turn in range(len(items) if len(items) <= _TURNS_LIMIT else 1):
        yield [*items[turn:], *items[:turn]]
