"""Whoever sends webhooks: those who may, those who only say so, and those who want to do harm."""

import asyncio
import hashlib
import hmac
import json
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from typing import NamedTuple

from aiohttp import ClientError, ClientSession, ClientTimeout, TCPConnector

from tests.soak.replica import Replica
from tests.soak.tracked import ONE, TWO

Say = Callable[[str], None]

HARBOR, DISTRIBUTION = "harbor-w0rd-of-the-soak", "distribution-w0rd-of-the-soak"
FORGE_WORDS = {kind: f"{kind}-w0rd-of-the-soak" for kind in ("github", "gitlab", "gitea")}
DISTRIBUTION_VARIABLE = "WORD_OF_OUR_REGISTRY"

_PATIENCE = ClientTimeout(total=8)
_FORGED = "forged"
"""How each tag begins that only forged webhooks name."""
_LARGEST = 2**20
_BUSY = frozenset({429, 503})
"""Too many, or what proves the sender cannot be read now: whoever sends it may come again."""
_STATUSES: Mapping[str, frozenset[int]] = {
    "valid": frozenset({200, *_BUSY}),
    "replayed": frozenset({200, *_BUSY}),
    "forged": frozenset({401, 503}),
    "of no type": frozenset({400, 503}),
    "broken": frozenset({400, 503}),
    "oversized": frozenset({413, 503}),
}


class Sent(NamedTuple):
    """A webhook as it goes over the network."""

    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass
class Senders:
    """All of them together, and what they were answered."""

    session: ClientSession
    host: str
    """Of the registry, as images name it."""
    replicas: Sequence[Replica]
    answers: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    _numbers: "count[int]" = field(default_factory=count)

    def valid(self, chance: random.Random, tag: str = "") -> Sent:
        return self._harbor(tag, HARBOR) if chance.random() < 0.5 else self._distribution(tag, DISTRIBUTION)

    def _harbor(self, tag: str, word: str) -> Sent:
        number = next(self._numbers)
        name = (ONE, TWO)[number % 2]
        tag = tag or f"told-{number}"
        resource = {"digest": "sha256:" + "b" * 64, "tag": tag, "resource_url": f"{self.host}/{name}:{tag}"}
        data = {"resources": [resource], "repository": {"repo_full_name": name, "namespace": "team", "name": "x"}}
        event = {"type": "PUSH_ARTIFACT", "occur_at": number, "operator": "admin", "event_data": data}
        return Sent("/webhook/harbor", {"Authorization": word}, json.dumps(event).encode())

    def _distribution(self, tag: str, word: str) -> Sent:
        number = next(self._numbers)
        target = {"repository": (ONE, TWO)[number % 2], "tag": tag or f"told-{number}"}
        event = {"id": str(number), "action": "push", "target": target, "request": {"host": self.host}}
        headers = {"Authorization": f"Bearer {word}"}
        return Sent("/webhook?type=distribution", headers, json.dumps({"events": [event]}).encode())

    def forged(self, chance: random.Random) -> Sent:
        """Make one that names a tag under the right type, with something that is not the right word."""
        number = next(self._numbers)
        if chance.random() < 0.3:
            return self._forge("gitea", b'{"repository": {"clone_url": "https://127.0.0.1/x"}}', word="guessed")
        word = chance.choice(("", "guessed", HARBOR[:-1], f"{HARBOR}x", f"Basic {HARBOR}", DISTRIBUTION, "ü" * 9))
        sent = self._harbor(f"{_FORGED}-{number}", word)
        return sent if word else sent._replace(headers={})

    def about_pull_requests(self, kind: str, url: str) -> Sent:
        repository = {"clone_url": url, "html_url": url, "ssh_url": ""}
        event = {"action": "closed", "number": next(self._numbers), "repository": repository}
        if kind == "gitlab":
            event |= {"object_kind": "merge_request", "project": {"git_http_url": url, "web_url": url}}
        return self._forge(kind, json.dumps(event).encode(), FORGE_WORDS[kind])

    @staticmethod
    def _forge(kind: str, body: bytes, word: str) -> Sent:
        signature = hmac.new(word.encode(), body, hashlib.sha256).hexdigest()
        headers = {
            "github": {"X-GitHub-Event": "pull_request", "X-Hub-Signature-256": f"sha256={signature}"},
            "gitlab": {"X-Gitlab-Event": "Merge Request Hook", "X-Gitlab-Token": word},
            "gitea": {"X-Gitea-Event": "pull_request", "X-Gitea-Signature": signature},
        }
        return Sent(f"/webhook/{kind}", headers[kind], body)

    async def send(self, what: str, sent: Sent, replica: Replica) -> int:
        """Send one, and hold the answer against what it may be; 0: there was none."""
        try:
            async with self.session.post(
                f"http://127.0.0.1:{replica.hooks}{sent.path}", data=sent.body, headers=sent.headers
            ) as answer:
                text, status = await answer.text(), answer.status
        except (ClientError, OSError, TimeoutError):
            self.answers[f"{what}: none"] += 1
            return 0
        self.answers[f"{what}: {status}"] += 1
        if status not in _STATUSES[what]:
            self.wrong.append(f"a webhook that is {what} was answered with {status} {text.strip()}: {sent}"[:500])
        return status

    async def step(self, chance: random.Random, say: Say) -> None:
        steps: dict[str, Callable[[random.Random, Replica], Awaitable[None]]] = {
            "tell of pushes": self._tell,
            "forge": self._forge_some,
            "repeat themselves": self._repeat,
            "send too much": self._send_too_much,
            "send what is no webhook": self._send_nonsense,
            "hang up": self._hang_up,
            "never end": self._never_end,
            "flood": self._flood,
        }
        name, replica = chance.choice(list(steps)), chance.choice(self.replicas)
        say(f"senders of webhooks {name} at the {replica.name} replica")
        await steps[name](random.Random(f"{name} {chance.random()}"), replica)

    async def _tell(self, chance: random.Random, replica: Replica) -> None:
        for _ in range(chance.randint(10, 60)):
            if not await self.send("valid", self.valid(chance), replica):
                return

    async def _forge_some(self, chance: random.Random, replica: Replica) -> None:
        for _ in range(chance.randint(1, 20)):
            if not await self.send("forged", self.forged(chance), replica):
                return

    async def _repeat(self, chance: random.Random, replica: Replica) -> None:
        sent = self.valid(chance)
        for what in ("valid", *["replayed"] * chance.randint(1, 20)):
            if not await self.send(what, sent, replica):
                return

    async def _send_too_much(self, chance: random.Random, replica: Replica) -> None:
        sent = self.valid(chance)
        body = sent.body + b" " * (_LARGEST * chance.randint(1, 8))
        await self.send("oversized", sent._replace(body=body), replica)

    async def _send_nonsense(self, chance: random.Random, replica: Replica) -> None:
        sent = self.valid(chance)
        bodies = (b"", b"null", b"[" * 50_000, sent.body[:-9], b"\xff" * 99, chance.randbytes(999))
        await self.send("broken", sent._replace(body=chance.choice(bodies)), replica)
        paths = ("/webhook", "/webhook/nobody", "/webhook/quay.io", "/webhook/%00", "/webhook?type=" + "x" * 2000)
        await self.send("of no type", sent._replace(path=chance.choice(paths)), replica)

    async def _hang_up(self, chance: random.Random, replica: Replica) -> None:
        """Cut a request off: within its head, or within its body, gently or not."""
        sent = self.valid(chance)
        whole = _raw(sent, len(sent.body) + chance.choice((0, 0, 999)))
        for _ in range(chance.randint(1, 20)):
            await self._raw(replica, whole[: chance.randrange(len(whole))], abort=chance.random() < 0.5)

    async def _never_end(self, chance: random.Random, replica: Replica) -> None:
        """Hold connections without ending what was begun, for a little longer than anybody may."""
        raw = _raw(self.valid(chance), _LARGEST)
        waits = chance.choice((0.5, 2, 12))
        cut = [chance.randrange(1, len(raw)) for _ in range(chance.randint(1, 10))]
        await asyncio.gather(*(self._raw(replica, raw[:each], abort=False, waits=waits) for each in cut))

    async def _flood(self, chance: random.Random, replica: Replica) -> None:
        again = self.valid(chance)
        drawn = [
            chance.choice((("valid", self.valid(chance)), ("forged", self.forged(chance)), ("replayed", again)))
            for _ in range(chance.randint(50, 400))
        ]
        await asyncio.gather(*(self.send(what, sent, replica) for what, sent in drawn))

    async def _raw(self, replica: Replica, data: bytes, *, abort: bool, waits: float = 0) -> None:
        self.answers["cut off"] += 1
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(waits + 5):
                reader, writer = await asyncio.open_connection("127.0.0.1", replica.hooks)
                try:
                    writer.write(data)
                    await writer.drain()
                    with suppress(TimeoutError):
                        async with asyncio.timeout(waits):
                            await reader.read()
                finally:
                    if abort:
                        writer.transport.abort()
                    writer.close()

    async def told_at_rest(self) -> list[str]:
        """Have each replica take one more in, when there is no trouble any more."""
        chance = random.Random(0)
        for _ in range(60):
            statuses = [await self.send("valid", self.valid(chance), replica) for replica in self.replicas]
            if set(statuses) == {200}:
                return []
            await asyncio.sleep(1)
        return [f"the replicas answer webhooks at rest with {statuses}"]

    def violations(self) -> list[str]:
        return [*self.wrong, *(f"{each.name}: {text}" for each in self.replicas for text in _acted_wrongly(each))]


def senders(host: str, replicas: Sequence[Replica]) -> Senders:
    """Make them; their session has to be closed."""
    return Senders(
        ClientSession(timeout=_PATIENCE, connector=TCPConnector(limit=30, keepalive_timeout=1)), host, replicas
    )


def _raw(sent: Sent, length: int) -> bytes:
    head = [f"POST {sent.path} HTTP/1.1", "Host: updater", f"Content-Length: {length}"]
    head += [f"{name}: {value}" for name, value in sent.headers.items()]
    return "\r\n".join([*head, "", ""]).encode() + sent.body


def _acted_wrongly(replica: Replica) -> list[str]:
    """Find what was acted on though it was forged, or a repetition."""
    found, told = [], Counter[str]()
    for event in replica.said:
        if event.get("event") == "daemon.started":
            told.clear()
        if event.get("event") != "webhook.received":
            continue
        tag = str(event["tag"])
        told[tag] += 1
        if tag.startswith(_FORGED):
            found.append(f"acted on a forged webhook: {event}")
        if told[tag] > 1:
            found.append(f"acted {told[tag]} times on the webhook about {tag}")
    return found
