"""A conversation with git-upload-pack: where a branch is, and objects, in the cheapest way that the server goes."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import structlog

from updater.adapters.git.knowledge import Knowledge, Known, Way
from updater.adapters.git.objects import Held
from updater.adapters.git.protocol import (
    Capabilities,
    Greeting,
    Want,
    fetch_request,
    fetching,
    find_ref,
    ls_refs_request,
    read_greeting,
    read_pack_data,
    read_ref,
)
from updater.adapters.git.transport import Conversation, CutShort, ServerRefused, TooLarge, Transport
from updater.domain.errors import GitError
from updater.formats.packs import Pack, read_pack

log = structlog.get_logger()

_LARGE_PACK = 200_000
"""Bytes; unpacking more happens beside the loop."""
_OVERHEAD = 64 * 2**10
"""Bytes of an answer beside its pack; and a byte in each 64 for the side band."""
_MOST_SINCE = 256 * 2**10
"""Bytes of what happened on a branch meanwhile; rather than more of it, the wanted files are walked to."""
_VERSION_2 = 2


@dataclass
class UploadPack:
    """One conversation; objects that come go to the cache."""

    transport: Transport
    conversation: Conversation
    knowledge: Knowledge
    known: Known
    objects: Held
    largest: int
    believes: bool
    """What is known of the server was not heard from it in this conversation: it may have changed."""
    _greeting: Greeting | None = None
    _whole: dict[str, Pack] = field(default_factory=dict)
    """All files of a commit, where no less can be had."""

    async def find(self, branch: str) -> tuple[str, str]:
        """Return a branch's full name, and the commit that it points to.

        Raises:
            BranchNotFound, GitError
        """
        able = await self._able()
        if able.version == _VERSION_2:
            async with self.conversation.ask(ls_refs_request(branch), self.largest) as lines:
                return await read_ref(lines, self.transport.place, branch)
        if self._greeting is None:
            await self._listen()
        assert self._greeting is not None  # noqa: S101 - just heard
        return find_ref(self._greeting, self.transport.place, branch)

    async def since(self, old: str, new: str) -> None:
        """Get what happened between two commits, without the files; whatever is missing then is fetched anyway."""
        able = await self._able()
        want = Want([new], have=old, filter="blob:none" if able.partial else "")
        try:
            pack = await self._fetch(want, min(_MOST_SINCE, self.largest))
        except TooLarge:
            log.debug("git.moved_far", repository=self.transport.place, old=old, new=new)
        except (ServerRefused, CutShort) as error:
            log.debug("git.since_refused", repository=self.transport.place, reason=str(error))
        else:
            self.objects.cache.add(pack)

    async def need(self, wanted: Sequence[str], commit: str, filter: str) -> None:  # noqa: A002 - the protocol's word
        """Get those objects of a commit that are not known yet.

        Raises:
            GitError: they could not be had in any way.
        """
        missing = [key for key in dict.fromkeys(wanted) if key not in self.objects]
        if not missing:
            return
        await self._able()
        ways = self.known.ways()
        for way in ways:
            try:
                pack = await self._fetch_surely(way, missing, commit, filter)
            except (ServerRefused, CutShort) as error:
                if way is ways[-1] or self.believes:
                    raise
                place = self.transport.place
                log.info("git.way_refused", repository=place, way=way.name.lower(), reason=str(error))
            else:
                self.known.worst_way = max(self.known.worst_way, way)
                break
        absent = [key for key in missing if key not in pack]
        if absent:
            raise GitError(
                f"{self.transport.place} did not send {len(absent)} of {len(missing)} objects asked for: {absent[0]}",
            )
        self.objects.hold({key: pack[key] for key in missing})

    async def ancestors(self, old: str, new: str) -> Pack | None:
        """Get the commits between two of them; None when they are too many."""
        able = await self._able()
        try:
            want = Want([new], have=old, filter="tree:0" if able.partial else "")
            return await self._fetch(want, min(_MOST_SINCE, self.largest))
        except (TooLarge, ServerRefused, CutShort):
            return None

    async def _fetch_surely(self, way: Way, missing: Sequence[str], commit: str, filter: str) -> Pack:  # noqa: A002
        """Fetch; once more when the answer breaks off, which may be a refusal or a connection that was lost."""
        try:
            return await self._fetch_by(way, missing, commit, filter)
        except CutShort:
            return await self._fetch_by(way, missing, commit, filter)

    async def _fetch_by(self, way: Way, missing: Sequence[str], commit: str, filter: str) -> Pack:  # noqa: A002
        if way is Way.PARTIAL:
            shallow = commit in missing and (await self._able()).shallow
            return await self._fetch(Want(missing, filter=filter, shallow=shallow), self.largest)
        if commit not in self._whole:
            self._whole[commit] = await self._fetch(Want([commit], shallow=way is Way.SHALLOW), self.largest)
        return self._whole[commit]

    async def _fetch(self, want: Want, most: int) -> Pack:
        able = await self._able()
        async with self.conversation.ask(fetch_request(want, able.version), most + most // 64 + _OVERHEAD) as lines:
            data = await read_pack_data(lines, self.transport.place)
        if len(data) > most:
            raise TooLarge(f"{self.transport.place} sent a pack of {len(data)} bytes, more than git.max_pack allows")
        if len(data) > _LARGE_PACK:
            return await asyncio.to_thread(read_pack, data, self.objects, self.largest)
        return read_pack(data, self.objects, self.largest)

    async def _able(self) -> Capabilities:
        if self.known.fetching is None or (self.conversation.greets and self._greeting is None):
            await self._listen()
        able = self.known.fetching
        assert able is not None  # noqa: S101 - just heard
        return able

    async def _listen(self) -> None:
        async with self.conversation.greeting() as lines:
            self._greeting = await read_greeting(lines, self.transport.place)
        self.known.fetching = fetching(self._greeting, self.transport.place)
        self.knowledge.learned(self.transport.host, self.known)
        self.believes = False


@asynccontextmanager
async def open_upload_pack(
    transport: Transport, knowledge: Knowledge, objects: Held, largest: int
) -> AsyncIterator[UploadPack]:
    async with transport.open("git-upload-pack") as conversation:
        known = knowledge.of(transport.place, transport.host)
        believes = known.fetching is not None
        yield UploadPack(transport, conversation, knowledge, known, objects, largest, believes)
