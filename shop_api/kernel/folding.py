"""Text without accents and case, as search compares it: "Ærø Café" is "aero cafe".

Belongs here: folding one text. Does not: finding (domains/search; migrations/search.py has the same
in SQL).
"""

import unicodedata

_LETTERS = str.maketrans(
    dict(zip("øłđðıħŧςØŁĐÐĦŦ", "olddihtσolddht", strict=True))
    | {"ß": "ss", "æ": "ae", "œ": "oe", "Æ": "ae", "Œ": "oe", "ẞ": "ss"}
)


def fold_text(value: str) -> str:
    """The text with accents taken off, in small letters."""
    apart = unicodedata.normalize("NFKD", value)
    bare = "".join(letter for letter in apart if not "\u0300" <= letter <= "\u036f")
    # letter by letter: a sigma at the end of a word is small like any other
    return "".join(letter.lower() for letter in bare).translate(_LETTERS)
