"""Azure DevOps' API, as far as it is used; a repository's address has another form there."""

from urllib.parse import unquote

from aiohttp import web

from tests.fakes.forges import REPOSITORY, Body, FakeRequest, ForgeServer, Route, said, sample
from updater.domain.pull_requests import ForgeKind

_PLACE = "team/platform"
_API = f"/{_PLACE}/_apis/git/repositories/gitops/pullrequests"
_HEADS = "refs/heads/"
_STATUSES = {"open": "active", "closed": "abandoned", "merged": "completed"}
_STRATEGIES = {"noFastForward": "merge", "squash": "squash", "rebase": "rebase"}
_CUT = 400
_LONGEST = 4000


class AzureServer(ForgeServer):
    kind = ForgeKind.AZURE
    already_there = 409
    listing = _API
    git_path = f"{_PLACE}/_git/gitops"
    has_etags = False
    reviewer = "d6245f20-2af8-44f4-9451-8107cb2767db"

    def is_api(self, path: str) -> bool:
        return "/_apis/" in path

    def routes(self) -> list[tuple[str, str, Route]]:
        return [
            ("GET", _API, self._list),
            ("POST", _API, self._open),
            ("GET", rf"{_API}/(\d+)", self._one),
            ("PATCH", rf"{_API}/(\d+)", self._edit),
            ("POST", rf"{_API}/(\d+)/labels", self._label),
            ("PUT", rf"{_API}/(\d+)/reviewers/(.+)", self._review),
            ("GET", rf"{_API}/(\d+)/threads", self._threads),
            ("POST", rf"{_API}/(\d+)/threads", self._thread),
        ]

    def _environ_of(self, request: web.Request, body: bytes) -> dict[str, str]:
        environ = super()._environ_of(request, body)
        return {**environ, "PATH_INFO": request.path.replace(f"/{self.git_path}", f"/{REPOSITORY}.git")}

    def shown(self, there: FakeRequest) -> Body:
        made = sample("azure-pull.json")
        made |= {"pullRequestId": there.number, "status": _STATUSES[there.state], "title": there.title}
        made |= {"sourceRefName": f"{_HEADS}{there.head}", "targetRefName": f"{_HEADS}{there.base}"}
        made |= {"description": there.body, "lastMergeSourceCommit": {"commitId": there.commit}}
        return made | ({"forkSource": {"name": "refs/heads/x", "repository": {"name": "x"}}} if there.from_fork else {})

    def _list(self, query: Body) -> web.Response:
        assert query["api-version"] == "7.0"
        wanted = query["searchCriteria.status"]
        head = unquote(query.get("searchCriteria.sourceRefName", "")).removeprefix(_HEADS)
        found = [
            each
            for each in reversed(self.requests_made)
            if wanted in ("all", _STATUSES[each.state]) and head in ("", each.head)
        ]
        start = int(query.get("$skip", 0))
        page = [self.shown(each) for each in found[start : start + int(query.get("$top", 100))]]
        for each in page:
            each["description"] = each["description"][:_CUT]
        return said(200, {"value": page, "count": len(page)})

    def _open(self, body: Body) -> web.Response:
        assert set(body) == {"title", "sourceRefName", "targetRefName", "description", "isDraft"}
        if len(body["description"]) > _LONGEST:
            return said(400, {"message": "Invalid argument value. Parameter name: A maximum of 4000 characters"})
        head, base = (body[key].removeprefix(_HEADS) for key in ("sourceRefName", "targetRefName"))
        try:
            made = self.opened(head, base, body["title"], body["description"])
        except KeyError:
            return said(400, {"message": "TF401398: The pull request cannot be activated: a branch is not there"})
        if made is None:
            return said(409, {"message": "TF401179: An active pull request for the source and target branch exists"})
        return said(201, self.shown(made))

    def _one(self, _: Body, number: str) -> web.Response:
        return said(200, self.shown(self.numbered(number)))

    def _edit(self, body: Body, number: str) -> web.Response:
        there = self.numbered(number)
        known = {"title", "description", "targetRefName", "status", "autoCompleteSetBy", "completionOptions"}
        assert set(body) <= known
        there.title, there.body = body.get("title", there.title), body.get("description", there.body)
        there.base = body.get("targetRefName", there.base).removeprefix(_HEADS)
        there.state = "closed" if body.get("status") == "abandoned" else there.state
        if "autoCompleteSetBy" in body:
            assert body["autoCompleteSetBy"] == {"id": sample("azure-pull.json")["createdBy"]["id"]}
            there.automerge = _STRATEGIES[body["completionOptions"]["mergeStrategy"]]
        self.touch(there)
        return said(200, self.shown(there))

    def _label(self, body: Body, number: str) -> web.Response:
        self.numbered(number).labels.append(body["name"])
        return said(200, {"name": body["name"], "active": True})

    def _review(self, body: Body, number: str, reviewer: str) -> web.Response:
        assert body == {"vote": 0, "isRequired": False}
        self.numbered(number).reviewers.append(reviewer)
        return said(200, {"id": reviewer, **body})

    def _threads(self, _: Body, number: str) -> web.Response:
        return said(200, {"value": [{"comments": [{"content": text}]} for text in self.numbered(number).comments]})

    def _thread(self, body: Body, number: str) -> web.Response:
        (comment,) = body["comments"]
        self.numbered(number).comments.append(comment["content"])
        return said(200, {"id": 1, "comments": [comment]})
