"""Hide the passwords of addresses before anybody sees them."""

import re

_USER_INFO = re.compile(r"(?<=://)([^\s/?#@]*?):([^\s/?#]*)@")
_QUERY_SECRET = re.compile(r"(?i)([?&](?:\w+_)?(?:password|passwd|pwd|token|secret|api_key)=)[^&\s#]*")


def redact(text: str) -> str:
    """Replace each password in the addresses within a text by three stars.

    Understands `scheme://user:password@host`, `?password=...` and `?sentinel_password=...`.
    """
    return _QUERY_SECRET.sub(r"\1***", _USER_INFO.sub(r"\1:***@", text))
