"""A stand-in of the hub's API: repositories in memory, with commits, branches, large files, tokens and private ones."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

OWNERS = {"hf_writer": "acme", "hf_stranger": "someone"}  # who a token is of


@dataclass
class Repository:
    private: bool
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)

    def commit(self, branch: str, files: dict[str, bytes]) -> str:
        content = b"".join(name.encode() + data for name, data in sorted(files.items()))
        commit = hashlib.sha1(f"{len(self.commits)} {branch}".encode() + content).hexdigest()
        self.commits[commit] = files
        self.branches[branch] = commit
        return commit


class Hub:
    """The server. requests: (method, path) of all; gated: names whose files only their owner gets."""

    def __init__(self) -> None:
        self.repositories: dict[tuple[str, str], Repository] = {}
        self.large: dict[str, bytes] = {}
        self.gated: set[str] = set()
        self.requests: list[tuple[str, str]] = []
        self.sent: list[tuple[str, int]] = []  # (file, bytes) of ranges
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": self}))
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def files(self, name: str, kind: str = "model", branch: str = "main") -> dict[str, bytes]:
        repository = self.repositories[kind, name]
        return repository.commits[repository.branches[branch]]


class Refused(Exception):
    def __init__(self, status: int, code: str = "", message: str = "", **body: str) -> None:
        self.status, self.code, self.message, self.body = status, code, message, body


class _Handler(BaseHTTPRequestHandler):
    hub: Hub

    def log_message(self, *_: Any) -> None:
        pass

    def handle_one(self) -> None:
        path = unquote(urlsplit(self.path).path).strip("/")
        self.hub.requests.append((self.command, path))
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            self.answer(path.split("/"), body)
        except Refused as error:
            headers = {"X-Error-Code": error.code, "X-Error-Message": error.message}
            self.send(json.dumps({"error": error.message, **error.body}).encode(), error.status, headers)

    do_GET = do_POST = do_PUT = do_HEAD = handle_one

    def send(self, body: bytes, status: int = 200, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | (headers or {})).items():
            if value:
                self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def json(self, value: Any) -> None:
        self.send(json.dumps(value).encode(), headers={"Content-Type": "application/json"})

    def who(self, needed: bool = False) -> str | None:
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        if token and token not in OWNERS:
            raise Refused(401, message="Invalid credentials in Authorization header")
        if needed and not token:
            raise Refused(401)
        return OWNERS.get(token)

    def repository(self, kind: str, name: str, write: bool = False) -> Repository:
        repository, who = self.hub.repositories.get((kind, name)), self.who(write)
        mine = who == name.split("/")[0]
        if repository is None or (repository.private and not mine):
            raise Refused(401 if who is None else 404, "RepoNotFound", "Repository not found")
        if write and not mine:
            raise Refused(403, message="You don't have the rights")
        return repository

    def commit_of(self, repository: Repository, revision: str) -> str:
        commit = repository.branches.get(revision, revision)
        if commit not in repository.commits:
            raise Refused(404, "RevisionNotFound", "Invalid rev id")
        return commit

    def answer(self, parts: list[str], body: bytes) -> None:
        if parts[:2] == ["api", "validate-yaml"]:
            return self.json({"errors": [], "warnings": []})
        if parts[:3] == ["api", "repos", "create"]:
            return self.create(json.loads(body))
        if parts[0] == "large":
            self.hub.large[parts[1]] = body
            return self.send(b"")
        if parts[0] == "api":
            return self.api(parts[1].removesuffix("s"), "/".join(parts[2:4]), parts[4:], body)
        kind = "model"
        if parts[0] == "datasets":
            kind, parts = "dataset", parts[1:]
        name = "/".join(parts[:2]).removesuffix(".git")
        if parts[2:] == ["info", "lfs", "objects", "batch"]:
            self.repository(kind, name, write=True)
            wanted = json.loads(body)["objects"]
            objects = [{**one, "actions": {"upload": {"href": f"{self.hub.url}/large/{one['oid']}"}}} for one in wanted]
            return self.json({"transfer": "basic", "objects": objects})
        return self.resolve(kind, name, parts[3], "/".join(parts[4:]))

    def create(self, wish: dict[str, Any]) -> None:
        who, kind = self.who(needed=True), wish.get("type") or "model"
        name = f"{wish.get('organization') or who}/{wish['name']}"
        if name.split("/")[0] != who:
            raise Refused(403, message="You don't have the rights to create a model under the namespace")
        url = f"{self.hub.url}/{'datasets/' if kind == 'dataset' else ''}{name}"
        if (kind, name) in self.hub.repositories:
            raise Refused(409, message="You already created this repo", url=url)
        private = bool(wish.get("private")) or wish.get("visibility") == "private"
        repository = self.hub.repositories[kind, name] = Repository(private)
        repository.commit("main", {".gitattributes": b"*.safetensors filter=lfs\n"})
        self.json({"url": url, "name": name})

    def api(self, kind: str, name: str, rest: list[str], body: bytes) -> None:
        verb, revision = (rest[0] if rest else "revision"), "/".join(rest[1:]) or "main"
        repository = self.repository(kind, name, write=self.command == "POST" and verb != "paths-info")
        if verb == "revision":
            commit = self.commit_of(repository, revision)
            siblings = [{"rfilename": file} for file in repository.commits[commit]]
            return self.json({"id": name, "sha": commit, "private": repository.private, "siblings": siblings})
        if verb == "tree":
            files = repository.commits[self.commit_of(repository, rest[1])]
            return self.json(
                [{"type": "file", "path": path, "size": len(data), "oid": _blob(data)} for path, data in files.items()]
            )
        if verb == "paths-info":
            files = repository.commits[self.commit_of(repository, revision)]
            wanted = json.loads(body)["paths"] if body.startswith(b"{") else parse_qs(body.decode())["paths"]
            return self.json(
                [
                    {"type": "file", "path": path, "size": len(files[path]), "oid": _blob(files[path])}
                    for path in wanted
                    if path in files
                ]
            )
        if verb == "branch":
            if revision in repository.branches:
                raise Refused(409, message="Reference already exists")
            repository.branches[revision] = repository.branches["main"]
            return self.json({})
        if verb == "preupload":
            files = repository.commits[self.commit_of(repository, revision)]
            answers = []
            for file in json.loads(body)["files"]:
                mode = "lfs" if file["path"].endswith((".safetensors", ".parquet")) else "regular"
                have = _blob(files[file["path"]]) if file["path"] in files and mode == "regular" else None
                answers.append({"path": file["path"], "uploadMode": mode, "shouldIgnore": False, "oid": have})
            return self.json({"files": answers})
        if verb == "commit":
            commit = self.take(repository, revision, [json.loads(line) for line in body.splitlines()])
            return self.json(
                {"commitUrl": f"{self.hub.url}/{name}/commit/{commit}", "commitOid": commit, "success": True}
            )
        raise Refused(404, message=f"no such route: {verb}")

    def take(self, repository: Repository, branch: str, lines: list[dict[str, Any]]) -> str:
        files = dict(repository.commits[repository.branches[branch]])
        for line in lines:
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = self.hub.large[value["oid"]]
            elif line["key"] == "deletedFile":
                files.pop(value["path"], None)
        return repository.commit(branch, files)

    def resolve(self, kind: str, name: str, revision: str, path: str) -> None:
        repository = self.repository(kind, name)
        if name in self.hub.gated and self.who() != name.split("/")[0]:
            raise Refused(403, "GatedRepo", "Access to this repository is restricted")
        commit = self.commit_of(repository, revision)
        if path not in repository.commits[commit]:
            raise Refused(404, "EntryNotFound", "Entry not found")
        data = repository.commits[commit][path]
        headers = {"X-Repo-Commit": commit, "ETag": f'"{_blob(data)}"'}
        if part := re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range") or ""):
            some = data[int(part[1]) : int(part[2]) + 1]
            self.hub.sent.append((path, len(some)))
            return self.send(some, 206, headers)
        self.send(data, headers=headers)


def _blob(data: bytes) -> str:
    """Git's hash of a file."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
