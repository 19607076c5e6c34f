"""Blank what differs between two failures of the same kind: numbers, ids, hosts, quoted parts.

It goes in three steps, each cheaper than the next and each the key to a cache of what the next would say:
`reduce` makes all digits the same digit, `shorten` takes ids, addresses of people and quoted parts out,
`blank` does the rest.
"""

import re
from typing import Final

LONGEST: Final = 200
CONSIDERED: Final = 400  # characters of an error text that count at all
ZEROES: Final = bytes.maketrans(b"123456789", b"000000000")

_QUOTED = re.compile(rb"""(?<!\w)'[^'\n]*'(?!\w)|"[^"\n]*"|`[^`\n]*`|\xe2\x80\x9c[^\n]*?\xe2\x80\x9d""", re.ASCII)
_QUOTES: Final = (b"'", b'"', b"`", b"\xe2\x80\x9c")
# The pods of Kubernetes end in -HASH-SUFFIX, both without vowels. What looks like 0e-0 is a number.
_ID = re.compile(
    rb"""
      \b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b
    | (?<=-)(?=[a-z]*[0-9])(?:[0-9a-f]{8,10}|[b-df-hj-np-tv-xz0-9]{6,10})-[b-df-hj-np-tv-xz0-9]{5}\b
    | \b(?!\d+e(?:[+-]|\d{1,3}\b))(?=[a-f]*[0-9])(?=[0-9]*[a-f])[0-9a-f]{8,}\b
    | \b(?!\d+e(?:[+-]|\d{1,3}\b))(?=(?:[a-z_]*[0-9]){3})(?=[0-9_]*[a-z])\w{12,}\b
    """,
    re.VERBOSE | re.ASCII | re.IGNORECASE,
)
_SHORTEST_ID: Final = 8
_MAIL = re.compile(
    rb"(?<![\w.+-])(?:[\w.+-]|<id>){1,64}@[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63})+(?![\w-])", re.ASCII | re.IGNORECASE
)
_VARIABLE = re.compile(
    r"""
      (?P<url>  \b[a-z][a-z0-9+.-]{0,19}://(?:[^\s'"<>)\]}]|<id>|<text>)+ )
    | (?P<id>   \b0x[0-9a-f]+\b )
    | (?P<time> \b\d{4}-\d\d-\d\d(?:[t\ ]\d\d:\d\d(?::\d\d)?(?:[.,]\d+)?)?(?:z\b|[+-]\d\d:?\d\d\b)? )
    | (?P<host> (?:\b\d{1,3}(?:\.\d{1,3}){3}|\[[0-9a-f:.]*:[0-9a-f:.]*\])(?::\d{1,5}\b)?
              | \b(?:[0-9a-f]{1,4}:){3,7}:?[0-9a-f]{1,4}\b
              | (?<![\w.-])[a-z][\w-]*(?:(?=:\d{4,5}\b)|(?:\.[\w-]+)+(?=:\d{2,5}\b)):\d{2,5}\b
              | (?<![\w.-])[a-z0-9](?:[a-z0-9-]*\.)+(?:com|net|org|io|dev|app|co|cloud|local|localdomain|internal
                  |svc|lan|corp|example|test|invalid|arpa|eu|de|uk|us)\b )
    | (?P<num>  (?:(?<![\w#])[+-])?\d+(?:[.,]\d+)*(?:e[+-]?\d+\b)? )
    """,
    re.VERBOSE | re.ASCII | re.IGNORECASE,
)
_PLACEHOLDERS: Final = {"url": "<url>", "id": "<id>", "time": "<time>", "host": "<host>", "num": "#"}
_ROUNDS: Final = 10


def reduce(text: str) -> bytes:
    """Make all digits the same digit; texts with equal reductions have equal blanks."""
    return text[:CONSIDERED].encode("utf-8", "surrogatepass").translate(ZEROES)


def shorten(reduced: bytes) -> bytes:
    """Take ids, e-mail addresses and quoted parts out of a reduction; what comes out equal has equal blanks."""
    if b"0" in reduced or b"@" in reduced:
        words = reduced.split(b" ")
        for at, word in enumerate(words):
            if b"0" in word and len(word) >= _SHORTEST_ID:
                words[at] = word = _ID.sub(b"<id>", word)  # noqa: PLW2901 - an address may begin with an id
            if b"@" in word:
                words[at] = _MAIL.sub(b"<mail>", word)
        reduced = b" ".join(words)
    # Last, since whether a quote ends depends on what stands behind it.
    found = int(any(quote in reduced for quote in _QUOTES))
    while found:
        reduced, found = _QUOTED.subn(b"<text>", reduced)
    return reduced


def blank(text: str) -> str:
    """Replace what varies by placeholders, and white space by one blank; at most 200 characters.

    Blanking a blanked text changes nothing.
    """
    return blank_short(shorten(reduce(text)))


def blank_short(short: bytes) -> str:
    """Blank a text that was reduced and shortened."""
    text = _once(short)
    for _ in range(_ROUNDS):
        # Cutting and replacing may leave something that another round blanks.
        before, text = text, _once(shorten(text.encode()))
        if text == before:
            break
    return text


def _once(short: bytes) -> str:
    """Do one round."""
    text = _VARIABLE.sub(lambda found: _PLACEHOLDERS[found.lastgroup or "num"], short.decode("utf-8", "replace"))
    return " ".join(text.split())[:LONGEST].rstrip()
