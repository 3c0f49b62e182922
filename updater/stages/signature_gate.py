"""Let no update pass whose image is not signed as demanded.

Looking for signatures takes requests, so it happens beside the decisions: until the answer is there the update is
held, and then it is decided again. An image is often signed a moment after it was pushed, and a registry may be away:
whatever is no yes is asked again, ever more rarely, as long as somebody wants it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Container
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

import structlog

from updater.domain.application import ApplicationName
from updater.domain.decision import Decision, Hold, Invalid, Reason, Update
from updater.domain.errors import Misconfigured, UpdaterError
from updater.domain.image import ImageVersion
from updater.domain.messages import ImageIdentity, TrackedImage
from updater.domain.polling import PollKey
from updater.domain.resources import Verification
from updater.ports.registry import Signatures

log = structlog.get_logger()

_VALID = timedelta(hours=1)
"""How long a yes is believed before the key is read again: somebody may have replaced it."""
_FIRST_RETRY = 15.0
_LONGEST_RETRY = 1800.0
_AT_ONCE = 4
"""Images that are looked at at the same time."""


class _NoSignatures:
    """Implements `Signatures` where nobody can look for any: what demands one is refused."""

    async def check(self, *_: object) -> str:
        raise Misconfigured("signatures cannot be looked at here")


NO_SIGNATURES = _NoSignatures()


class _Question(NamedTuple):
    poll: PollKey
    version: ImageVersion
    verification: Verification
    namespace: str


@dataclass(frozen=True, slots=True)
class _Answer:
    reason: Reason | None
    """None: it is signed."""
    message: str
    at: datetime


@dataclass
class SignatureGate:
    """Asks for signatures, remembers the answers, and has what waits for one decided again."""

    signatures: Signatures
    now: Callable[[], datetime]
    wake: Callable[[ImageIdentity], Awaitable[None]]
    """Has an image decided again."""
    first_retry: float = _FIRST_RETRY
    _answers: dict[_Question, _Answer] = field(default_factory=dict)
    _wanted: dict[ImageIdentity, _Question] = field(default_factory=dict)
    _tasks: dict[_Question, asyncio.Task[None]] = field(default_factory=dict)
    _asked: dict[_Question, asyncio.Event] = field(default_factory=dict)
    """Set once there is a first answer."""
    _slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_AT_ONCE))

    def admit(self, name: ApplicationName, image: TrackedImage, decision: Decision) -> Decision:
        """Give the decision itself, or a hold while the image it asks for is not known to be signed."""
        identity = ImageIdentity(name, image.alias)
        if not isinstance(decision, Update) or image.verification is None:
            self.forget(identity)
            return decision
        question = _Question(image.poll, decision.version, image.verification, name.namespace)
        if self._wanted.get(identity) != question:
            self.forget(identity)
            self._wanted[identity] = question
        answer = self._answers.get(question)
        if answer is not None and answer.reason is None:
            if self.now() < answer.at + _VALID:
                return decision
            answer = self._answers.pop(question)
        self._ask(question)
        return _held(decision, answer if answer and answer.reason else None)

    def forget(self, identity: ImageIdentity) -> None:
        """Stop asking on an image's behalf."""
        question = self._wanted.pop(identity, None)
        if question is not None and question not in self._wanted.values():
            self._answers.pop(question, None)
            self._asked.pop(question, None)
            task = self._tasks.pop(question, None)
            if task is not None:
                task.cancel()

    def forget_application(self, name: ApplicationName, keep: Container[str]) -> None:
        """Stop asking on behalf of an application's images, but for some."""
        for identity in [each for each in self._wanted if each.application == name and each.alias not in keep]:
            self.forget(identity)

    async def settled(self) -> None:
        """Wait until each question has had a first answer, whatever it is."""
        for asked in list(self._asked.values()):
            await asked.wait()

    async def close(self) -> None:
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _ask(self, question: _Question) -> None:
        if question not in self._tasks:
            self._asked.setdefault(question, asyncio.Event())
            task = asyncio.create_task(self._pursue(question), name=f"signature {question.poll.repository}")
            self._tasks[question] = task

    async def _pursue(self, question: _Question) -> None:
        """Ask until the answer is yes, and tell of each that is new."""
        failures = 0
        while True:
            answer = await self._look(question)
            before, self._answers[question] = self._answers.get(question), answer
            done = answer.reason is None
            if done:
                self._tasks.pop(question, None)
            if before is None or (before.reason, before.message) != (answer.reason, answer.message):
                for identity in [each for each, wanted in self._wanted.items() if wanted == question]:
                    await self.wake(identity)
            if question in self._asked:
                self._asked[question].set()
            if done:
                return
            await asyncio.sleep(min(self.first_retry * 2.0 ** min(failures, 10), _LONGEST_RETRY))
            failures += 1

    async def _look(self, question: _Question) -> _Answer:
        try:
            async with self._slots:
                message = await self.signatures.check(*question)
        except Misconfigured as error:
            return _Answer(Reason.INVALID, str(error), self.now())
        except UpdaterError as error:
            return _Answer(Reason.INCOMPLETE, f"its signature cannot be looked at: {error}", self.now())
        except Exception as error:
            log.exception("signature.crashed", image=str(question.poll.repository))
            return _Answer(Reason.INCOMPLETE, f"its signature cannot be looked at: {type(error).__name__}", self.now())
        return _Answer(Reason.UNSIGNED if message else None, message, self.now())


def _held(update: Update, answer: _Answer | None) -> Decision:
    """Put into a decision why an update has to wait."""
    if answer is None:
        message = f"{update.version} waits until its signature has been looked at"
        return Hold(reason=Reason.VERIFYING, message=message, candidate=update.version)
    if answer.reason is Reason.INVALID:
        return Invalid(reason=Reason.INVALID, message=answer.message)
    reason = answer.reason or Reason.UNSIGNED
    remedy = "; sign it, or set imagesVerification.enabled: false" if reason is Reason.UNSIGNED else ""
    return Hold(reason=reason, message=f"{update.version}: {answer.message}{remedy}", candidate=update.version)
