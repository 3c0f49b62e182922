"""Bitbucket Cloud's API, as far as it is used."""

import re
from urllib.parse import unquote

from aiohttp import web

from tests.fakes.forges import REPOSITORY, Body, FakeRequest, ForgeServer, Route, said, sample
from updater.domain.pull_requests import ForgeKind

_API = f"/api/2.0/repositories/{REPOSITORY}/pullrequests"
_STATES = {"open": "OPEN", "closed": "DECLINED", "merged": "MERGED"}


class BitbucketServer(ForgeServer):
    kind = ForgeKind.BITBUCKET
    already_there = 400
    page_size = 50
    listing = _API
    has_labels = False
    has_etags = False
    reviewer = "{d301aafa-d676-4ee0-88be-962be7417567}"

    def routes(self) -> list[tuple[str, str, Route]]:
        return [
            ("GET", _API, self._list),
            ("POST", _API, self._open),
            ("GET", rf"{_API}/(\d+)", self._one),
            ("PUT", rf"{_API}/(\d+)", self._edit),
            ("POST", rf"{_API}/(\d+)/decline", self._decline),
            ("GET", rf"{_API}/(\d+)/comments", self._comments),
            ("POST", rf"{_API}/(\d+)/comments", self._comment),
        ]

    def shown(self, there: FakeRequest) -> Body:
        made = sample("bitbucket-pull.json")
        made |= {"id": there.number, "title": there.title, "description": there.body, "state": _STATES[there.state]}
        made |= {"updated_on": f"{there.time[:-1]}.000000+00:00"}
        made["source"] |= {"branch": {"name": there.head}, "commit": {"hash": there.commit[:12]}}
        made["source"]["repository"] = {"full_name": "a/fork"} if there.from_fork else {"full_name": REPOSITORY}
        made["destination"] |= {"branch": {"name": there.base}}
        made["links"] = {"html": {"href": self.url(f"{REPOSITORY}/pull-requests/{there.number}")}}
        return made

    def _list(self, query: Body) -> web.Response:
        named = re.fullmatch(r'source\.branch\.name = "(.*)"', unquote(query.get("q", "")))
        assert named or query["sort"] == "-updated_on"
        found, following = self.selected(query, "open" if named else "all", head=named[1] if named else "")
        page = {"values": [self.shown(each) for each in found], "pagelen": self.page_size}
        return said(200, {**page, **({"next": following} if following else {})})

    def _open(self, body: Body) -> web.Response:
        assert set(body) == {"title", "source", "destination", "description", "close_source_branch", "draft"}
        head, base = body["source"]["branch"]["name"], body["destination"]["branch"]["name"]
        try:
            made = self.opened(head, base, body["title"], body["description"])
        except KeyError:
            return _error(400, "There are no changes to be pulled")
        if made is None:
            return _error(400, "There is already an open pull request for these branches")
        return said(201, self.shown(made))

    def _one(self, _: Body, number: str) -> web.Response:
        there = self.numbered(number)
        return said(200, {**self.shown(there), "reviewers": [{"uuid": each} for each in there.reviewers]})

    def _edit(self, body: Body, number: str) -> web.Response:
        there = self.numbered(number)
        assert set(body) <= {"title", "description", "destination", "reviewers"}
        if there.state != "open":
            return _error(400, "This pull request is already closed.")
        there.title = body.get("title", there.title)
        there.body = body.get("description", there.body)
        there.base = body["destination"]["branch"]["name"] if "destination" in body else there.base
        there.reviewers = [each["uuid"] for each in body.get("reviewers", ())]
        self.touch(there)
        return said(200, self.shown(there))

    def _decline(self, _: Body, number: str) -> web.Response:
        self.close(int(number))
        return said(200, self.shown(self.numbered(number)))

    def _comments(self, _: Body, number: str) -> web.Response:
        return said(200, {"values": [{"content": {"raw": text}} for text in self.numbered(number).comments]})

    def _comment(self, body: Body, number: str) -> web.Response:
        self.numbered(number).comments.append(body["content"]["raw"])
        self.touch(self.numbered(number))
        return said(201, {"id": 1, "content": body["content"]})


def _error(status: int, message: str) -> web.Response:
    return said(status, {"type": "error", "error": {"message": message}})
