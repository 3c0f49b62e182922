"""GitHub Enterprise's API, as far as it is used."""

import base64
from typing import Any
from urllib.parse import unquote

from aiohttp import web

from tests.fakes.forges import REPOSITORY, Body, FakeRequest, ForgeServer, Route, said, sample
from updater.domain.pull_requests import ForgeKind

_API = f"/api/v3/repos/{REPOSITORY}"
WEB_FLOW = "noreply@github.com"
APP = "app@users.noreply.github.com"


class GitHubServer(ForgeServer):
    kind = ForgeKind.GITHUB
    already_there = 422
    listing = f"{_API}/pulls"

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._blobs: dict[str, bytes] = {}
        self._trees: list[Body] = []

    def routes(self) -> list[tuple[str, str, Route]]:
        return [
            ("GET", f"{_API}/pulls", self._list),
            ("POST", f"{_API}/pulls", self._open),
            ("PATCH", rf"{_API}/pulls/(\d+)", self._edit),
            ("POST", rf"{_API}/issues/(\d+)/labels", self._label),
            ("POST", rf"{_API}/pulls/(\d+)/requested_reviewers", self._review),
            ("GET", rf"{_API}/issues/(\d+)/comments", self._comments),
            ("POST", rf"{_API}/issues/(\d+)/comments", self._comment),
            ("POST", "/api/graphql", self._graphql),
            ("POST", f"{_API}/git/blobs", self._blob),
            ("POST", f"{_API}/git/trees", self._tree),
            ("POST", f"{_API}/git/commits", self._make),
            ("PATCH", rf"{_API}/git/refs/heads/(.+)", self._move),
        ]

    def shown(self, there: FakeRequest) -> Body:
        made = sample("github-pull.json")
        made |= {"number": there.number, "title": there.title, "body": there.body, "updated_at": there.time}
        made |= {"html_url": self.url(f"{REPOSITORY}/pull/{there.number}"), "node_id": f"PR_{there.number}"}
        made |= {"state": "open" if there.state == "open" else "closed"}
        made["merged_at"] = there.time if there.state == "merged" else None
        made["head"] |= {"ref": there.head, "sha": there.commit}
        made["base"] |= {"ref": there.base}
        for side in ("head", "base"):
            made[side]["repo"]["full_name"] = REPOSITORY
        if there.from_fork:
            made["head"]["repo"]["full_name"] = "stranger/gitops"
        return made

    def _list(self, query: Body) -> web.Response:
        owner, _, head = query.get("head", "").partition(":")
        assert owner in ("", "team")
        return self.listed(query, query["state"], head=head)

    def _open(self, body: Body) -> web.Response:
        assert set(body) == {"title", "head", "base", "body", "draft"}
        try:
            made = self.opened(body["head"], body["base"], body["title"], body["body"])
        except KeyError:
            return _invalid("head", "No commits between the branches")
        if made is None:
            return _invalid("", f"A pull request already exists for team:{body['head']}.")
        return said(201, self.shown(made))

    def _edit(self, body: Body, number: str) -> web.Response:
        there = self.numbered(number)
        assert set(body) <= {"title", "body", "base", "state"}
        if there.state == "merged" and "state" in body:
            return _invalid("state", "Cannot close a merged pull request")
        for key, value in body.items():
            setattr(there, key, value)
        self.touch(there)
        return said(200, self.shown(there))

    def _label(self, body: Body, number: str) -> web.Response:
        self.numbered(number).labels += body["labels"]
        return said(200, [{"name": name} for name in body["labels"]])

    def _review(self, body: Body, number: str) -> web.Response:
        self.numbered(number).reviewers += [*body["reviewers"], *(f"team {team}" for team in body["team_reviewers"])]
        return said(201, self.shown(self.numbered(number)))

    def _comments(self, _: Body, number: str) -> web.Response:
        return said(200, [{"id": 1, "body": text} for text in self.numbered(number).comments])

    def _comment(self, body: Body, number: str) -> web.Response:
        self.numbered(number).comments.append(body["body"])
        self.touch(self.numbered(number))
        return said(201, {"id": 1, "body": body["body"]})

    def _blob(self, body: Body) -> web.Response:
        self._blobs[str(len(self._blobs))] = base64.b64decode(body["content"])
        return said(201, {"sha": str(len(self._blobs) - 1)})

    def _tree(self, body: Body) -> web.Response:
        self._trees.append(body)
        return said(201, {"sha": str(len(self._trees) - 1)})

    def _make(self, body: Body) -> web.Response:
        tree = self._trees[int(body["tree"])]
        files = {each["path"]: self._blobs[each["sha"]] for each in tree["tree"]}
        modes = {each["path"]: each["mode"] for each in tree["tree"]}
        (head,) = body["parents"]
        assert head == tree["base_tree"]
        return said(201, {"sha": self.make_commit(head, files, body["message"], APP, WEB_FLOW, modes)})

    def _move(self, body: Body, branch: str) -> web.Response:
        ref = f"refs/heads/{unquote(branch)}"
        if self.git("rev-parse", f"{body['sha']}~") != self.git("rev-parse", ref):
            return said(422, {"message": "Update is not a fast forward"})
        self.git("update-ref", ref, body["sha"])
        return said(200, {"ref": ref})

    def _commit(self, given: Body) -> web.Response:
        """Commit as createCommitOnBranch does: on an existing branch, with no executable files."""
        assert given["branch"]["repositoryNameWithOwner"] == REPOSITORY
        name, head = given["branch"]["branchName"], given["expectedHeadOid"]
        if name not in self.branches():
            return said(200, {"data": None, "errors": [{"type": "NOT_FOUND", "message": "Branch not found"}]})
        if self.git("rev-parse", f"refs/heads/{name}") != head:
            message = f'Expected branch to point to "{head}" but it did not.  Pull and try again.'
            errors = [{"type": "STALE_DATA", "path": ["createCommitOnBranch"], "message": message}]
            return said(200, {"data": {"createCommitOnBranch": None}, "errors": errors})
        files = {each["path"]: base64.b64decode(each["contents"]) for each in given["fileChanges"]["additions"]}
        text = f"{given['message']['headline']}\n\n{given['message']['body']}\n"
        made = self.make_commit(head, files, text, APP, WEB_FLOW)
        self.git("update-ref", f"refs/heads/{name}", made)
        return said(200, {"data": {"createCommitOnBranch": {"commit": {"oid": made}}}})

    def _graphql(self, body: Body) -> web.Response:
        if "createCommitOnBranch" in body["query"]:
            return self._commit(body["variables"]["input"])
        assert "enablePullRequestAutoMerge" in body["query"]
        there = self.numbered(body["variables"]["id"].removeprefix("PR_"))
        if body["variables"]["head"] != there.commit:
            return said(200, {"data": None, "errors": [{"message": "Head branch was modified"}]})
        there.automerge = body["variables"]["method"].lower()
        return said(200, {"data": {"enablePullRequestAutoMerge": {"clientMutationId": None}}})


def _invalid(field: str, message: str) -> web.Response:
    error = {"resource": "PullRequest", "code": "custom", "field": field, "message": message}
    documentation = "https://docs.github.com/rest/pulls/pulls#create-a-pull-request"
    return said(422, {"message": "Validation Failed", "errors": [error], "documentation_url": documentation})
