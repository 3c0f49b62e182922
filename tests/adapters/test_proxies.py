"""Which proxy the environment means: as for the Go programs in the same pod."""

import pytest
from yarl import URL

from updater.adapters.proxies import environment_proxy

PROXY = "http://proxy.example.com:3128"


@pytest.mark.parametrize(
    ("no_proxy", "url", "direct"),
    [
        ("", "https://a.example.com", False),
        ("", "http://a.example.com", True),
        ("", "https://localhost:5000", True),
        ("", "https://127.0.0.1:5000", True),
        ("*", "https://a.example.com", True),
        ("example.com", "https://a.example.com", True),
        ("example.com", "https://example.com", True),
        ("example.com", "https://badexample.com", False),
        (".example.com", "https://example.com", False),
        ("*.example.com", "https://a.example.com", True),
        ("other, A.example.com", "https://a.EXAMPLE.com", True),
        ("a.example.com:5000", "https://a.example.com:5000", True),
        ("a.example.com:5000", "https://a.example.com", False),
        ("10.0.0.0/8", "https://10.1.2.3", True),
        ("10.0.0.0/8", "https://11.1.2.3", False),
        ("10.0.0.0/8", "https://a.example.com", False),
        ("10.0.0.0/nonsense", "https://10.1.2.3", False),
        ("fd00::/8", "https://[fd00::1]", True),
        ("10.1.2.3", "https://10.1.2.3:5000", True),
    ],
)
def test_no_proxy_is_understood_as_go_does(no_proxy: str, url: str, *, direct: bool) -> None:
    found = environment_proxy(URL(url), {"HTTPS_PROXY": PROXY, "NO_PROXY": no_proxy})
    assert found == (None if direct else PROXY)


def test_variables_in_lower_case_and_addresses_without_a_scheme_count() -> None:
    assert environment_proxy(URL("https://a.example.com"), {"https_proxy": "proxy.example.com:3128"}) == PROXY
