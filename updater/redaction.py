"""What must not be read in a log, and its mask.

Three nets: exact values that were registered where they were read, user and password in URLs, and headers or query
parameters that carry credentials. The log passes every text through them; nobody else has to think of it.
"""

import base64
import json
import re
from collections import deque
from collections.abc import Callable
from functools import lru_cache
from urllib.parse import quote

import re2

MASK = "***"

_SHORTEST_SECRET = 6
"""Masking shorter values would garble every line and protect nothing: they can be guessed."""
_SHORTEST_LINE = 20
"""Of a secret of several lines, such as a private key, each line of this length is a secret too."""
_MOST_SECRETS = 1_000
_DETECTOR_BYTES = 64 * 2**20

_USERINFO = re.compile(r"(?<=://)[^/\s\"'<>]*@")
_QUERY = re.compile(r"([?&][\w.-]*(?:token|password|secret|sig|signature|credential|key)=)[^&\s\"'<>]+", re.IGNORECASE)
_HEADER = re.compile(r"(authorization[\"']?\s*[:=]\s*[\"']?(?:\w+\s+)?)[^\s\"',}]+", re.IGNORECASE)
_SCHEME = re.compile(
    r"\b(basic|bearer)(\s+)(?:[A-Za-z0-9._~+/-]{16,}=*|[A-Za-z0-9+/]{6,}={1,2})(?![\"=\w])",
    re.IGNORECASE,
)

_secrets: deque[str] = deque(maxlen=_MOST_SECRETS)


def register_secret(value: str | bytes) -> None:
    """Mask a secret wherever it appears from now on, also quoted for a URL, escaped, or in Base64.

    Values of fewer than 6 characters stay visible. The thousand values registered last are kept.
    """
    text = (value if isinstance(value, str) else value.decode("utf-8", "backslashreplace")).strip()
    if len(text) < _SHORTEST_SECRET or text in _secrets:
        return
    _secrets.append(text)
    _forms.cache_clear()
    _detector.cache_clear()


def redact(text: str) -> str:
    """Mask what is known, or looks, to be secret in a text."""
    if not text.isascii():
        text = text.encode("utf-8", "backslashreplace").decode()
    if _detector()(text):
        for form in _forms():
            text = text.replace(form, MASK)
    if "://" in text and "@" in text:
        text = _USERINFO.sub(f"{MASK}@", text)
    if "=" in text or ":" in text or " " in text:
        text = _QUERY.sub(rf"\1{MASK}", text)
        text = _HEADER.sub(rf"\1{MASK}", text)
        text = _SCHEME.sub(rf"\1\2{MASK}", text)
    return text


@lru_cache(1)
def _forms() -> tuple[str, ...]:
    """Return all spellings of the secrets, the longest first, so that none is masked in part only."""
    forms = {form for secret in _secrets for form in _spellings(secret) if len(form) >= _SHORTEST_SECRET}
    return tuple(sorted(forms, key=lambda form: (-len(form), form)))


def _spellings(secret: str) -> set[str]:
    raw = secret.encode("utf-8", "backslashreplace")
    text = raw.decode()
    lines = {line for line in text.splitlines() if len(line) >= _SHORTEST_LINE and not line.startswith("-----")}
    encoded = {base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode()}
    escaped = {json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1], repr(text)[1:-1]}
    return {text, quote(raw, safe=""), quote(raw), *lines, *encoded, *escaped}


@lru_cache(1)
def _detector() -> Callable[[str], object]:
    """Return one automaton for all spellings: a line without a secret costs one pass, however many there are."""
    forms = _forms()
    if not forms:
        return lambda _: None
    options = re2.Options()
    options.max_mem = _DETECTOR_BYTES
    search: Callable[[str], object] = re2.compile("|".join(map(re2.escape, forms)), options).search
    return search
