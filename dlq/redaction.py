"""Hide passwords, tokens and other credentials before anybody sees them."""

import logging
import re
from urllib.parse import unquote, urlsplit

_USER_INFO = re.compile(r"(?<=://)([^\s/?#@]*?):([^\s/?#]*)@")
_QUERY_SECRET = re.compile(r"(?i)([?&](?:password|passwd|pwd|token|secret|api_key)=)[^&\s#]*")
_STARS = "***"
_PLAIN = frozenset({"http", "https", "redis", "rediss", "redis-sentinel", "rediss-sentinel", "unix", "amqp", "amqps"})
_SHORTEST = 6  # a shorter one is hidden by its place only: its letters may be part of any word
_PLACE = 12  # of an apprise address: a shorter part is a name rather than a token
_TOKEN = 20  # of a web address
_concealed: set[str] = set()


def conceal(*secrets: str) -> None:
    """Have credentials hidden by `redact` from now on; of an address those are its password and its longer parts."""
    for name in _LOUD:
        logging.getLogger(name).addFilter(_FILTER)
    for secret in secrets:
        for part in _parts(secret):
            if len(part) >= _SHORTEST:
                _concealed.add(part)


def redact(text: str) -> str:
    """Replace each password in the addresses within a text, and each concealed credential, by three stars.

    Understands `scheme://user:password@host` and `?password=...`.
    """
    hidden = _QUERY_SECRET.sub(rf"\1{_STARS}", _USER_INFO.sub(rf"\1:{_STARS}@", text))
    for secret in sorted((secret for secret in _concealed if secret in hidden), key=len, reverse=True):
        hidden = hidden.replace(secret, _STARS)
    return hidden


class RedactingFilter(logging.Filter):
    """Redact the records of a logger whose library logs addresses as they are, such as httpx."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Put the redacted text in the place of the record's message."""
        record.msg, record.args = redact(record.getMessage()), ()
        return True


_FILTER = RedactingFilter()
_LOUD = ("httpx", "urllib3.connectionpool", "urllib3.util.retry")
"""Loggers of libraries that log each request with its address."""


def _parts(secret: str) -> set[str]:
    """Tell what of a credential is secret: all of it, or what an address hides, written as it is and decoded."""
    if "://" not in secret:
        return {secret}
    try:
        parts = urlsplit(secret)
        password = parts.password or ""
    except ValueError:
        return {secret}
    values = [pair.partition("=")[2] for pair in parts.query.split("&")]
    places = [*parts.path.split("/"), *values]
    if parts.scheme in _PLAIN:
        hidden = {password, *(place for place in places if len(place) >= _TOKEN)}
        return hidden | set(map(unquote, hidden))
    # Another scheme is one of apprise's: tokens stand in the place of user, host and path.
    places += [parts.username or "", parts.netloc.rpartition("@")[2]]
    hidden = {secret, password, *(place for place in places if len(place) >= _PLACE and "." not in place)}
    return hidden | set(map(unquote, hidden))
