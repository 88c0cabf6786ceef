"""A name as somebody wants to be called, in one spelling: any script, emoji too, nothing that deceives."""

from __future__ import annotations

import unicodedata

from monitor.errors import NameInvalid

LONGEST = 80
"""Characters of a name. The longest that a passport has room for is 39 (ICAO 9303); people have more."""

TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c")
"""Characters that turn the direction of what follows: a name that holds one could rearrange a letter. Right-
to-left names need none of them. Joiners stay: Persian and some emoji are written with them."""

JOINERS = frozenset("\u200c\u200d")


def checked_name(text: str) -> str:
    """Put a name into its one spelling: NFC, blanks in one piece. Raises NameInvalid."""
    plain = "".join(one for one in unicodedata.normalize("NFC", text) if one not in TURNING)
    name = " ".join(plain.split())
    if any(_is_unreadable(one) for one in name):
        msg = "this name holds characters that cannot be read"
        raise NameInvalid(msg, hint="Type it by hand, as you want to be called.")
    if not any(unicodedata.category(one)[0] in "LNPS" for one in name):
        msg = "a name is needed, so that we know how to address you"
        raise NameInvalid(msg, hint="It need not be the name in your passport.")
    if len(name) > LONGEST:
        msg = f"this name has more than {LONGEST} characters"
        raise NameInvalid(msg, hint="Write it shorter, as you want to be called.")
    return name


def _is_unreadable(one: str) -> bool:
    """Say whether a character is a control, half a pair, for private use, or not assigned; tags are fine."""
    return unicodedata.category(one) in {"Cc", "Cs", "Co", "Cn"} and one not in JOINERS
