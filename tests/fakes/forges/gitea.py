"""Gitea's API, as far as it is used."""

from collections.abc import Sequence

from aiohttp import web

from tests.fakes.forges import REPOSITORY, Body, FakeRequest, ForgeServer, Route, said, sample
from updater.domain.pull_requests import ForgeKind

_API = f"/api/v1/repos/{REPOSITORY}"


class GiteaServer(ForgeServer):
    kind = ForgeKind.GITEA
    already_there = 409
    page_size = 50
    listing = f"{_API}/pulls"
    label_names: Sequence[str] = ("deps", "image")
    """Of the repository; an index is a label's id."""

    def routes(self) -> list[tuple[str, str, Route]]:
        return [
            ("GET", f"{_API}/pulls", self._list),
            ("POST", f"{_API}/pulls", self._open),
            ("PATCH", rf"{_API}/pulls/(\d+)", self._edit),
            ("POST", rf"{_API}/pulls/(\d+)/merge", self._merge),
            ("POST", rf"{_API}/pulls/(\d+)/requested_reviewers", self._review),
            ("GET", f"{_API}/labels", self._labels),
            ("POST", rf"{_API}/issues/(\d+)/labels", self._label),
            ("GET", rf"{_API}/issues/(\d+)/comments", self._comments),
            ("POST", rf"{_API}/issues/(\d+)/comments", self._comment),
        ]

    def shown(self, there: FakeRequest) -> Body:
        made = sample("gitea-pull.json")
        made |= {"number": there.number, "title": there.title, "body": there.body, "updated_at": there.time}
        made |= {"state": "open" if there.state == "open" else "closed", "merged": there.state == "merged"}
        made["html_url"] = self.url(f"{REPOSITORY}/pulls/{there.number}")
        ref = there.head if there.head in self.branches() else f"refs/pull/{there.number}/head"
        made["head"] |= {"label": there.head, "ref": ref, "sha": there.commit, "repo_id": 7 if there.from_fork else 1}
        made["base"] |= {"label": there.base, "ref": there.base}
        return made

    def _list(self, query: Body) -> web.Response:
        assert query["sort"] == "recentupdate"
        return self.listed(query, query["state"])

    def _open(self, body: Body) -> web.Response:
        assert set(body) == {"title", "head", "base", "body"}
        try:
            made = self.opened(body["head"], body["base"], body["title"], body["body"])
        except KeyError:
            return said(404, {"message": "The target couldn't be found."})
        if made is None:
            return said(409, {"message": "pull request already exists for these targets"})
        return said(201, self.shown(made))

    def _edit(self, body: Body, number: str) -> web.Response:
        there = self.numbered(number)
        assert set(body) <= {"title", "body", "base", "state"}
        if there.state == "merged" and "state" in body:
            return said(412, {"message": "cannot change state of this pull request, it was already merged"})
        for key, value in body.items():
            setattr(there, key, value)
        self.touch(there)
        return said(201, self.shown(there))

    def _merge(self, body: Body, number: str) -> web.Response:
        there = self.numbered(number)
        if body["head_commit_id"] != there.commit:
            return said(409, {"message": "head out of date"})
        if there.automerge:
            return said(409, {"message": "pull request is already scheduled to auto merge when checks succeed"})
        assert body["merge_when_checks_succeed"] is True
        there.automerge = body["Do"]
        return web.Response(status=201)

    def _review(self, body: Body, number: str) -> web.Response:
        self.numbered(number).reviewers += [*body["reviewers"], *(f"team {team}" for team in body["team_reviewers"])]
        return said(201, [])

    def _labels(self, query: Body) -> web.Response:
        page, size = int(query.get("page", 1)), min(int(query["limit"]), self.page_size)
        part = list(enumerate(self.label_names))[(page - 1) * size : page * size]
        answer = said(200, [{"id": number, "name": name} for number, name in part])
        if page * size < len(self.label_names):
            following = self.url(f"{_API}/labels?limit={size}&page={page + 1}".lstrip("/"))
            answer.headers["Link"] = f'<{following}>; rel="next"'
        return answer

    def _label(self, body: Body, number: str) -> web.Response:
        self.numbered(number).labels += [self.label_names[each] for each in body["labels"]]
        return said(200, [])

    def _comments(self, _: Body, number: str) -> web.Response:
        return said(200, [{"id": 1, "body": text} for text in self.numbered(number).comments])

    def _comment(self, body: Body, number: str) -> web.Response:
        self.numbered(number).comments.append(body["body"])
        self.touch(self.numbered(number))
        return said(201, {"id": 1, "body": body["body"]})
