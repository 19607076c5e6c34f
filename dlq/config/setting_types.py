"""Types of settings: how a value may be written in the environment, and what is refused."""

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, SecretStr
from pydantic_settings import NoDecode


def _words(said: object) -> object:
    """Let the environment give a list as words with blanks between them."""
    return said.split() if isinstance(said, str) else said


def _actions(said: object) -> object:
    """Read words, of which `none` stands for no action at all: an empty variable counts as not set."""
    words = _words(said)
    return [] if words in (["none"], ("none",)) else words


def _web_address(text: str) -> str:
    """Refuse what is no http(s) address; the message never repeats it, since it may hold a password."""
    wrong = ValueError("must be an address such as https://host:port/path")
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError as exc:
        raise wrong from exc
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise wrong
    return text


def _secret_web_address(secret: SecretStr) -> SecretStr:
    _web_address(secret.get_secret_value())
    return secret


SecretWebAddress = Annotated[SecretStr, AfterValidator(_secret_web_address)]
WebAddress = Annotated[str, AfterValidator(_web_address)]
ActionKinds = Annotated[tuple[Literal["scale", "concurrency", "quarantine"], ...], NoDecode, BeforeValidator(_actions)]
Words = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_words)]
SecretWords = Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(_words)]
