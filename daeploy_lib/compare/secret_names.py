"""
Names of fields and headers whose values are never shown.

    >>> is_secret_name("Access-Token"), is_secret_name("db_password")
    (True, True)
    >>> is_secret_name("tokens")
    False
"""

import functools
import re

REDACTED = "[redacted]"

SECRET_HEADERS = frozenset(
    {
        *(b"authorization", b"proxy-authorization", b"cookie", b"set-cookie"),
        *(b"authentication-info", b"proxy-authentication-info", b"www-authenticate"),
        *(b"x-api-key", b"x-auth-token", b"x-csrf-token", b"x-xsrf-token"),
        *(b"x-amz-security-token", b"x-goog-iap-jwt-assertion"),
    }
)
"""Headers, in lower case, whose values are never shown."""

# Written without "-", "_" and in lower case. Whole words only for those that are
# a part of harmless ones: "opinion", "author".
_PARTS = re.compile(
    "passw(?:or)?d|passphrase|secret|apikey|accesskey|privatekey|credential|authorization"
    "|cookie|accesstoken|refreshtoken|idtoken|authtoken|bearer|sessionid|csrf|xsrf"
)
_WHOLE = frozenset({"jwt", "auth", "pwd", "otp", "pin", "cvv", "cvc", "ssn"})
# A login answers a long one, a language model a short one.
_AMBIGUOUS = "token"
_LONG_TOKEN = re.compile(r"\S{16,}")
_MAX_NAME = 200


# Bounded, as names come from bodies; services have few.
@functools.lru_cache(maxsize=1024)
def _is_secret(name: str) -> bool:
    plain = name.lower().replace("-", "").replace("_", "")
    return plain in _WHOLE or _PARTS.search(plain) is not None


def is_secret_name(name: str) -> bool:
    """Return whether a field of a body has a name that secrets have."""
    return _is_secret(name[:_MAX_NAME])


def is_secret(name: str, value: object) -> bool:
    """
    Return whether a field is a secret by its name, or by name and value.

    Example:
        >>> is_secret("token", "cat"), is_secret("token", "eyJhbGciOiJIUzI1NiJ9")
        (False, True)
    """
    if is_secret_name(name):
        return True
    is_text = name.lower() == _AMBIGUOUS and isinstance(value, str)
    return is_text and _LONG_TOKEN.fullmatch(str(value)) is not None


# A name, what may stand between it and its value in a form, a URL, a header, JSON in
# a string; the value, up to where that would end. All of bounded length.
_BLANK = r"(?:[\"'\\\s]|%22|%27|%20|\+){0,6}"
_NAMED = re.compile(
    r"((?:passw(?:or)?d|passphrase|secret|api[-_]?key|access[-_]?key|private[-_]?key"
    r"|credential|authorization|cookie|session[-_]?id|csrf|xsrf|signature"
    r"|(?:\b|_|-)(?:access|refresh|id|auth|security|csrf)?[-_]?token|\bjwt|\bpwd)"
    rf"[\w.-]{{0,40}}{_BLANK}(?:[=:]|%3[ADad]){_BLANK})"
    r"[^\s\"'\\&;,<>{}\[\]]+",
    re.IGNORECASE,
)
_IN_URL = re.compile(r"(//[^/\s:@]{0,100}:)[^/\s@]{1,200}@")


def mask_named(text: str) -> str:
    """
    Return a text without the values that are named as secrets in it.

    Example:
        >>> mask_named("https://h/?n=1&api_key=hunter2")
        'https://h/?n=1&api_key=[redacted]'
        >>> mask_named('{"password": "hunter2"}'), mask_named("a secret: none")
        ('{"password": "[redacted]"}', 'a secret: [redacted]')
    """
    if "=" not in text and ":" not in text and "%" not in text:
        return text
    text = _NAMED.sub(rf"\1{REDACTED}", text)
    return _IN_URL.sub(rf"\1{REDACTED}@", text)
