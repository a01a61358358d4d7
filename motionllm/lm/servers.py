"""Servers of one model over HTTP: each request goes to the one with the least to do, and to the others where one is
gone."""

from __future__ import annotations

import http.client
import json
import logging
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from typing import Any

from motionllm.errors import GoneError, MotionLLMError

log = logging.getLogger(__name__)

KEY = "MOTIONLLM_API_KEY"  # environment variable with the API key, for engines that require one
PAUSES = (0.5, 3.0)  # seconds before a completion is requested again of the only server, which may be restarting


class Refused(MotionLLMError):
    """The server answered with an error. code: HTTP status."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


class Gone(GoneError):
    """Nobody answers. late: not within the timeout."""

    def __init__(self, message: str, late: bool = False) -> None:
        super().__init__(message)
        self.late = late


class Servers:
    """urls: addresses, with or without `/v1`. timeout: seconds for one reply. key: bearer token, "" for none; it is
    sent to these addresses only, and never appears in a message. Raises MotionLLMError for an address that is none.
    """

    def __init__(self, urls: Sequence[str], timeout: float, key: str) -> None:
        self.timeout, self.key, self.turn = timeout, key, threading.Lock()
        self.busy: dict[str, int] = {}  # the servers that answer, each with its number of open requests
        for url in urls:
            if not url.startswith(("http://", "https://")):
                raise MotionLLMError(f"{url!r} is no address of an engine; give one as http://127.0.0.1:8000.")
            self.busy[url.rstrip("/").removesuffix("/v1")] = 0
        self.names: dict[str, str | None] = {}  # the model's name on each

    @property
    def url(self) -> str:
        """The address of the first that answers."""
        return next(iter(self.busy))

    def models(self) -> dict[str, dict[str, Any]]:
        """{url: {model: owner}} of the servers that answer. Raises MotionLLMError where none does."""
        answers = {}
        for url in list(self.busy):
            try:
                answers[url] = {str(one["id"]): one.get("owned_by") for one in self.ask(url, "models")["data"]}
            except Refused as error:
                if error.code in (401, 403):
                    raise
                answers[url] = {}  # transformers lists its hub cache, and fails without one
            except Gone as error:
                if not self._drop(url, error):
                    raise
            except (KeyError, TypeError):
                raise MotionLLMError(f"{url} lists no models: it is no OpenAI-compatible engine.") from None
        return answers

    def each(self) -> Iterator[str]:
        """The servers in turn, each of which alone gets the requests meanwhile."""
        every = self.busy
        try:
            for url in list(every):
                self.busy = {url: 0}
                yield url
        finally:
            self.busy = every

    def complete(self, body: dict[str, Any]) -> Any:
        """The reply to a request for a completion. One that is gone is left to the others, with a warning; the last is
        asked again after a while. Raises MotionLLMError where that is in vain.
        """
        pauses = iter(PAUSES)
        while True:
            with self.turn:
                url = min(self.busy, key=lambda one: self.busy[one])
                self.busy[url] += 1
            name = self.names.get(url)
            try:
                return self.ask(url, "completions", body if name is None else body | {"model": name})
            except Refused as error:
                pause = next(pauses, None)
                if error.code < 500 or pause is None:
                    raise
                time.sleep(pause)
            except Gone as error:
                if self._drop(url, error):
                    continue
                pause = next(pauses, None)
                if error.late or pause is None:
                    raise
                time.sleep(pause)
            finally:
                with self.turn:
                    if url in self.busy:
                        self.busy[url] -= 1

    def _drop(self, url: str, error: Gone) -> bool:
        """Send nothing more to a server, unless it is the last: whether there are others."""
        with self.turn:
            others = [one for one in self.busy if one != url]
            if others and self.busy.pop(url, None) is not None:
                log.warning("%s What it had is sent to %s.", error, ", ".join(others))
            return bool(others)

    def ask(self, url: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """A server's answer. Raises Refused, Gone, or another MotionLLMError where it is no JSON."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{url}/v1/{path}", data, {"Content-Type": "application/json"})
        if self.key:
            request.add_unredirected_header("Authorization", f"Bearer {self.key}")
        try:
            with urllib.request.urlopen(request, timeout=self.timeout) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            detail = " ".join(error.read(2000).decode("utf-8", "replace").split())[:300]
            if self.key:
                detail = detail.replace(self.key, "…")
            todo = "see that it serves the merged model, and under the name that was given."
            if error.code in (401, 403):
                todo = f"give {'the right' if self.key else 'its'} key by api_key= or {KEY}."
            raise Refused(
                f"{url} refused the request ({error.code} {error.reason}): {detail or 'no reason given'}; {todo}",
                error.code,
            ) from None
        except TimeoutError:
            raise self._late(url) from None
        except (urllib.error.URLError, OSError, http.client.HTTPException, ValueError) as error:
            reason = getattr(error, "reason", error)
            if isinstance(reason, TimeoutError):
                raise self._late(url) from None
            if isinstance(error, ValueError):
                raise MotionLLMError(f"{url} is no OpenAI-compatible engine ({reason}).") from None
            raise Gone(
                f"Nobody answers at {url} ({reason}); start an engine there, as `transformers serve FOLDER` does."
            ) from None

    def _late(self, url: str) -> Gone:
        return Gone(f"{url} gave no answer within {self.timeout:g} s; give it more by timeout=.", late=True)
