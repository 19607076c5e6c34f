"""Blank what differs between two failures of the same kind: numbers, ids, hosts, quoted parts."""

import re
from typing import Final

LONGEST: Final = 200
CONSIDERED: Final = 1_000  # characters of an error text that count at all
ZEROES: Final = bytes.maketrans(b"123456789", b"000000000")

_VARIABLE = re.compile(
    r"""
      (?P<url>  \b[a-z][a-z0-9+.-]{0,19}://[^\s'"<>)\]}]+ )
    | (?P<mail> [\w.+-]{1,64}@[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63})+ )
    | (?P<quote> (?<!\w)'[^'\n]*'(?!\w) | "[^"\n]*" | `[^`\n]*`
              | \u201c[^\u201d\n]*\u201d | \u2018[^\u2019\n]*\u2019(?!\w) )
    | (?P<id>   \b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b
              | \b0x[0-9a-f]+\b
              | (?<=-)(?=[a-z]*[0-9])(?:[0-9a-f]{8,10}|[b-df-hj-np-tv-xz0-9]{6,10})-[b-df-hj-np-tv-xz0-9]{5}\b
              | \b(?=[a-f]*[0-9])[0-9a-f]{8,}\b
              | \b(?=(?:[a-z_]*[0-9]){3})(?=[0-9_]*[a-z])\w{12,}\b )
    | (?P<time> \b\d{4}-\d\d-\d\d(?:[t\ ]\d\d:\d\d(?::\d\d)?(?:[.,]\d+)?)?(?:z\b|[+-]\d\d:?\d\d\b)? )
    | (?P<host> (?:\b\d{1,3}(?:\.\d{1,3}){3}|\[[0-9a-f:.]*:[0-9a-f:.]*\]
                  |\b[a-z][\w-]*(?:(?=:\d{4,5}\b)|(?:\.[\w-]+)+(?=:\d{2,5}\b)))(?::\d{1,5}\b)?
              | \b(?:[0-9a-f]{1,4}:){3,7}(?::?[0-9a-f]{1,4})\b
              | \b[a-z0-9](?:[a-z0-9-]*\.)+(?:com|net|org|io|dev|app|co|cloud|local|localdomain|internal|svc
                  |lan|corp|example|test|invalid|arpa|eu|de|uk|us)\b(?::\d{1,5}\b)? )
    | (?P<num>  (?:(?<![\w#])[+-])?\d+(?:[.,]\d+)*(?:e[+-]?\d+\b)? )
    """,
    re.VERBOSE | re.ASCII | re.IGNORECASE,
)
_PLACEHOLDERS: Final = {
    "url": "<url>",
    "mail": "<mail>",
    "quote": "<text>",
    "id": "<id>",
    "time": "<time>",
    "host": "<host>",
    "num": "#",
}
_ROUNDS: Final = 10


def reduce(text: str) -> bytes:
    """Give the part of a text that decides how it is blanked: all digits are the same digit.

    Texts with equal reductions have equal blanks. So the reduction, which is cheap, is a key to cache by.
    """
    return text[:CONSIDERED].encode("utf-8", "surrogatepass").translate(ZEROES)


def blank(text: str) -> str:
    """Replace what varies by placeholders, and white space by one blank; at most 200 characters.

    Blanking a blanked text changes nothing.
    """
    return blank_reduced(reduce(text))


def blank_reduced(reduced: bytes) -> str:
    """Blank a text that `reduce` has reduced."""
    text = reduced.decode("utf-8", "replace")
    for _ in range(_ROUNDS):
        before, text = text, _once(text)
        if text == before:
            break
    return text


def _once(text: str) -> str:
    """Do one round; cutting or replacing may leave something that the next round blanks."""
    blanked = _VARIABLE.sub(lambda found: _PLACEHOLDERS[found.lastgroup or "num"], text)
    return " ".join(blanked.split())[:LONGEST].rstrip()
