"""Texts of settings: written out, in a Secret, or in a variable."""

from collections.abc import Mapping

import pytest

from updater.adapters.secret_texts import SecretTexts
from updater.domain.errors import ClusterError, Misconfigured
from updater.redaction import redact


class Secrets:
    def __init__(self) -> None:
        self.data: Mapping[str, bytes] = {"harbor": b"from-the-secret\n"}
        self.reads = 0
        self.down = False

    async def secret(self, namespace: str, name: str) -> Mapping[str, bytes]:
        self.reads += 1
        if self.down:
            raise ClusterError("does not answer")
        return self.data if (namespace, name) == ("argocd", "hooks") else {}


@pytest.mark.parametrize(
    ("spelled", "text"),
    [
        ("written-out", "written-out"),
        ("secret:argocd/hooks#harbor", "from-the-secret"),
        ("env:HOOK", "from-the-variable"),
    ],
)
async def test_text_is_found_and_kept_out_of_the_log(spelled: str, text: str) -> None:
    texts = SecretTexts(Secrets(), {"HOOK": "from-the-variable"})
    assert await texts.text(spelled) == text
    assert text not in redact(f"x {text} y")


@pytest.mark.parametrize("spelled", ["secret:argocd/hooks#other", "secret:argocd/hooks", "env:NONE", "secret:x"])
async def test_reference_that_leads_nowhere_is_said(spelled: str) -> None:
    with pytest.raises(Misconfigured):
        await SecretTexts(Secrets(), {}).text(spelled)


async def test_secret_is_read_once_a_minute_and_a_new_one_counts_then() -> None:
    now, secrets = [0.0], Secrets()
    texts = SecretTexts(secrets, {}, lambda: now[0])
    assert await texts.text("secret:argocd/hooks#harbor") == await texts.text("secret:argocd/hooks#harbor")
    assert secrets.reads == 1
    secrets.data, now[0] = {"harbor": b"another-one"}, 61.0
    assert await texts.text("secret:argocd/hooks#harbor") == "another-one"


async def test_secret_that_cannot_be_read_is_not_asked_for_by_every_stranger() -> None:
    now, secrets = [0.0], Secrets()
    secrets.down = True
    texts = SecretTexts(secrets, {}, lambda: now[0])
    for _ in range(3):
        with pytest.raises(ClusterError):
            await texts.text("secret:argocd/hooks#harbor")
    assert secrets.reads == 1
    secrets.down, now[0] = False, 6.0
    assert await texts.text("secret:argocd/hooks#harbor") == "from-the-secret"
