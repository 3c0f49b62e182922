"""GitLab's API, as far as it is used."""

import base64
from urllib.parse import quote

from aiohttp import web

from tests.fakes.forges import REPOSITORY, Body, FakeRequest, ForgeServer, Route, said, sample
from updater.domain.pull_requests import ForgeKind

_API = f"/api/v4/projects/{quote(REPOSITORY, safe='')}/merge_requests"
_COMMITS = f"/api/v4/projects/{quote(REPOSITORY, safe='')}/repository/commits"
OWNER = "owner@example.com"
_STATES = {"open": "opened", "closed": "closed", "merged": "merged"}


class GitLabServer(ForgeServer):
    kind = ForgeKind.GITLAB
    already_there = 409
    listing = _API

    def routes(self) -> list[tuple[str, str, Route]]:
        return [
            ("GET", _API, self._list),
            ("POST", _API, self._open),
            ("PUT", rf"{_API}/(\d+)", self._edit),
            ("PUT", rf"{_API}/(\d+)/merge", self._merge),
            ("GET", rf"{_API}/(\d+)/notes", self._notes),
            ("POST", rf"{_API}/(\d+)/notes", self._note),
            ("GET", "/api/v4/users", self._users),
            ("GET", "/api/v4/user", self._user),
            ("POST", _COMMITS, self._commit),
        ]

    def shown(self, there: FakeRequest) -> Body:
        made = sample("gitlab-merge-request.json")
        made |= {"iid": there.number, "title": there.title, "description": there.body, "updated_at": there.time}
        made |= {"state": _STATES[there.state], "source_branch": there.head, "target_branch": there.base}
        made |= {"sha": there.commit, "merge_when_pipeline_succeeds": bool(there.automerge)}
        made |= {"web_url": self.url(f"{REPOSITORY}/-/merge_requests/{there.number}")}
        made |= {"source_project_id": 7} if there.from_fork else {}
        return made

    def _list(self, query: Body) -> web.Response:
        assert query["scope"] == "all"
        return self.listed(query, query["state"], head=query.get("source_branch", ""))

    def _open(self, body: Body) -> web.Response:
        assert set(body) == {"title", "source_branch", "target_branch", "description", "remove_source_branch"}
        try:
            made = self.opened(body["source_branch"], body["target_branch"], body["title"], body["description"])
        except KeyError:
            return said(400, {"message": {"base": ["branch does not exist"]}})
        if made is None:
            return said(409, {"message": ["Another open merge request already exists for this source branch: !1"]})
        return said(201, self.shown(made))

    def _edit(self, body: Body, number: str) -> web.Response:
        there = self.numbered(number)
        assert set(body) <= {"title", "description", "target_branch", "state_event", "add_labels", "reviewer_ids"}
        there.title = body.get("title", there.title)
        there.body = body.get("description", there.body)
        there.base = body.get("target_branch", there.base)
        there.labels += body["add_labels"].split(",") if "add_labels" in body else []
        there.reviewers += [{5: "ada"}[each] for each in body.get("reviewer_ids", ())]
        if body.get("state_event") == "close":
            there.state = "closed"
        self.touch(there)
        return said(200, self.shown(there))

    def _merge(self, body: Body, number: str) -> web.Response:
        there = self.numbered(number)
        if body["sha"] != there.commit:
            return said(409, {"message": "SHA does not match HEAD of source branch"})
        assert body["auto_merge"] is True
        there.automerge = "squash" if body["squash"] else "merge"
        self.touch(there)
        return said(200, self.shown(there))

    def _notes(self, _: Body, number: str) -> web.Response:
        return said(200, [{"id": 1, "body": text} for text in self.numbered(number).comments])

    def _note(self, body: Body, number: str) -> web.Response:
        self.numbered(number).comments.append(body["body"])
        self.touch(self.numbered(number))
        return said(201, {"id": 1, "body": body["body"]})

    def _user(self, _: Body) -> web.Response:
        return said(200, {"id": 5, "email": OWNER, "commit_email": OWNER})

    def _commit(self, body: Body) -> web.Response:
        """Commit what is asked for where nobody changed those files meanwhile; modes stay, as in GitLab."""
        ref = f"refs/heads/{body['branch']}"
        head, files, modes = self.git("rev-parse", ref), {}, {}
        for each in body["actions"]:
            entry = self.git("ls-tree", head, "--", each["file_path"])
            if (each["action"] == "create") == bool(entry):
                return said(400, {"message": "A file with this name already exists"})
            if entry:
                last, known = (
                    self.git("log", "-1", "--format=%H", ref, "--", each["file_path"])
                    for ref in (head, each["last_commit_id"])
                )
                if last != known:
                    message = "The file has changed since you started editing it: " + each["file_path"]
                    return said(400, {"message": message})
                modes[each["file_path"]] = entry.split()[0]
            files[each["file_path"]] = base64.b64decode(each["content"])
        made = self.make_commit(head, files, body["commit_message"], body["author_email"], OWNER, modes)
        self.git("update-ref", ref, made)
        return said(201, {"id": made})

    def _users(self, query: Body) -> web.Response:
        return said(200, [{"id": 5, "username": "ada"}] if query["username"] == "ada" else [])
