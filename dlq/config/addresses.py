"""The addresses of brokers that are understood, by their scheme."""

from typing import Final
from urllib.parse import parse_qs, urlsplit

SENTINEL: Final = ("redis-sentinel://", "rediss-sentinel://")
CLUSTER: Final = ("redis-cluster://", "rediss-cluster://")
REDIS: Final = ("redis://", "rediss://", *SENTINEL, *CLUSTER, "unix://")
RABBIT: Final = ("amqp://", "amqps://")
OPTIONS: Final = frozenset(
    {
        *("client_name", "db", "health_check_interval", "password", "protocol", "username"),
        *("socket_connect_timeout", "socket_keepalive", "socket_timeout"),
        *("ssl_ca_certs", "ssl_ca_data", "ssl_ca_path", "ssl_cert_reqs", "ssl_certfile", "ssl_check_hostname"),
        *("ssl_ciphers", "ssl_keyfile", "ssl_min_version", "ssl_password"),
        *("sentinel_password", "sentinel_username"),
    }
)
"""What may stand in the query of a Redis address. https://redis.readthedocs.io/en/stable/connections.html"""
_NUMBERS: Final = ("db", "health_check_interval", "protocol", "socket_connect_timeout", "socket_timeout")


def trouble(url: str) -> str | None:
    """Say what is wrong with the options, or the database, of a Redis address; None: nothing."""
    parts = urlsplit(url)
    said = parse_qs(parts.query, keep_blank_values=True)
    for name in sorted(said.keys() - OPTIONS):
        if name == "decode_responses":
            return "take decode_responses out of it: messages are moved as bytes, not as text"
        return f"{name} is not among the options of an address; these are {', '.join(sorted(OPTIONS))}"
    for name in _NUMBERS:
        if not all(_is_number(value) for value in said.get(name, ())):
            return f"the option {name} is a number"
    database = parts.path.strip("/") if parts.scheme in {"redis", "rediss"} else ""
    return None if not database or database.isdecimal() else "the database after the / is a number, such as 0"


def _is_number(text: str) -> bool:
    try:
        return float(text) >= 0
    except ValueError:
        return False
