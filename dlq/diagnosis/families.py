"""What kind of failure an error text tells of, and of what other system it speaks."""

from __future__ import annotations

import re
from enum import StrEnum

from dlq.messages.signatures import CORRUPTED


class Family(StrEnum):
    """Kinds of failures, by what mends them."""

    MEMORY = "memory"
    DISK = "disk"
    RATE_LIMIT = "rate limit"
    CREDENTIALS = "credentials"
    DATABASE = "database"
    SLOW = "slow processing"
    SCHEMA = "schema"
    CORRUPTION = "corruption"
    DEPENDENCY = "dependency"
    CODE = "code"
    OTHER = "other"


# The first that fits counts: the more special ones stand first. Each is a list of alternatives.
_WORDS: tuple[tuple[Family, str], ...] = (
    (
        Family.MEMORY,
        r"""out ?of ?memory  \boom\b  oomkilled  memoryerror  heap space  cannot allocate  sigkill  exit code 137""",
    ),
    (Family.DISK, r"""no space left  disk (?:is )?full  enospc  read-only file ?system  disk quota"""),
    (Family.RATE_LIMIT, r"""\b429\b  rate.?limit  too many requests  throttl  quota exceeded  slow ?down"""),
    (
        Family.CREDENTIALS,
        r"""\b40[13]\b  unauthori[sz]ed  unauthenticated  forbidden  expired  certificate  permission ?denied
        access ?denied  authenticat  invalid_grant  invalid.{0,12}(?:api.?key|token|credential|signature)""",
    ),
    (
        Family.DATABASE,
        r"""deadlock  lock wait  lock timeout  connection pool  pool exhausted  queuepool  database  postgres  psycopg
        mysql  sqlstate  duplicate key  unique constraint  too many (?:connections|clients)""",
    ),
    (
        Family.SLOW,
        r"""(?:job|task|worker|processing|visibility|handler).{0,30}(?:time ?out|timed out|exceeded|stalled)  stalled
        exceeded.{0,30}(?:time limit|processing|runtime)  workerlost  max(?:imum)?.{0,12}(?:run|processing).?time""",
    ),
    (
        Family.SCHEMA,
        r"""schema  validation  (?:is )?not of type  expected .{0,40}(?:got|but|received)  required property
        unexpected (?:type|field|property)  missing (?:required )?(?:field|property)  deseriali[sz]  cannot parse
        invalid type  unmarshal""",
    ),
    (
        Family.DEPENDENCY,
        r"""time(?:d)?.?out  deadline ?exceeded  unavailable  \b50[234]\b  bad ?gateway  econn  enotfound  getaddrinfo
        name or service not known  connection ?(?:was |is )?(?:refused|reset|aborted|closed|error)  broken ?pipe
        no route to host  unreachable  circuit.?(?:breaker|open)  upstream""",
    ),
    (
        Family.CODE,
        r"""keyerror  typeerror  attributeerror  indexerror  nameerror  importerror  modulenotfound  null ?pointer
        undefined  is not a function  referenceerror  assertion  zerodivision  nonetype  classcast  notimplemented
        valueerror  nullref""",
    ),
)
_BETWEEN = re.compile(r"  +|\n\s*")  # one blank belongs to the words, two or a new line stand between alternatives
_PATTERNS = tuple((family, re.compile(_BETWEEN.sub("|", words), re.IGNORECASE)) for family, words in _WORDS)

_NAME = r"(?P<name>[A-Za-z][\w-]*(?:[.-][\w-]+)*)"
_FAILED = r"""timed out  time[- ]?out  is unavailable  unavailable  is down  refused  did not (?:respond|answer)
    not responding  returned  responded  answered  replied  rejected  says  said  throttled"""
_TOWARDS = r"""calling  reach(?:ing)?  contact(?:ing)?  connect(?:ing|ion)? to  from  to  by  at  with  for  host"""
_SUBJECTS = tuple(
    re.compile(text)
    for text in (
        rf"{_NAME} (?:{_BETWEEN.sub('|', _FAILED)})",
        rf"(?:{_BETWEEN.sub('|', _TOWARDS)}) {_NAME}",
        rf"host=.?{_NAME}",
    )
)
# fmt: off
_NO_NAMES = frozenset(
    {
        "a", "an", "the", "it", "request", "connection", "read", "write", "operation", "call", "http", "https",
        "server", "client", "upstream", "response", "service", "job", "task", "worker", "handler", "processing",
        "timeout", "error", "after", "while", "waiting", "function", "this", "that", "be", "of", "type",
        "field",
    }
)
# fmt: on


_NUMBER = re.compile(r"[0-9]+")  # payment-7 and payment-12 are instances of one system


def family_of(error_class: str, text: str) -> Family:
    """Say what kind of failure a signature is; OTHER when nothing fits."""
    if error_class == CORRUPTED:
        return Family.SCHEMA if text.startswith("schema") else Family.CORRUPTION
    said = f"{error_class}: {text}"
    return next((family for family, pattern in _PATTERNS if pattern.search(said)), Family.OTHER)


def subject_of(text: str) -> str:
    """Name the other system that an error text speaks of; "" when it names none."""
    for pattern in _SUBJECTS:
        for match in pattern.finditer(text):
            name = match["name"].rstrip(".-")
            if name.lower() not in _NO_NAMES and len(name) > 2:  # noqa: PLR2004 - "db" and the like are no names
                return _NUMBER.sub("#", name)
    return ""
