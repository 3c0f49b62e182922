"""The password that AWS CodeCommit takes for a URL: a signature (SigV4) of it, as git-remote-codecommit makes it."""

import hashlib
import hmac
import re
from datetime import datetime
from functools import reduce
from typing import NamedTuple

_HOST = re.compile(r"git-codecommit(?:-fips)?\.([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?")


class AwsKey(NamedTuple):
    """What AWS knows somebody by."""

    key_id: str
    secret: str
    session_token: str = ""

    def __repr__(self) -> str:
        return "AwsKey(***)"


def codecommit_region(host: str) -> str:
    """Return the region of a CodeCommit host; empty when it is none."""
    found = _HOST.fullmatch(host)
    return found[1] if found else ""


def codecommit_login(host: str, path: str, key: AwsKey, now: datetime) -> tuple[str, str]:
    """Return user name and password for a repository, good for some minutes from `now` (in UTC) on."""
    moment = now.strftime("%Y%m%dT%H%M%S")
    scope = (moment[:8], codecommit_region(host), "codecommit", "aws4_request")
    request = f"GIT\n{path}\n\nhost:{host}\n\nhost\n"
    told = "\n".join(("AWS4-HMAC-SHA256", moment, "/".join(scope), hashlib.sha256(request.encode()).hexdigest()))
    signing = reduce(_mac, scope, f"AWS4{key.secret}".encode())
    user = f"{key.key_id}%{key.session_token}" if key.session_token else key.key_id
    return user, f"{moment}Z{_mac(signing, told).hex()}"


def _mac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()
