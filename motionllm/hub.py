"""The Hugging Face hub: names of repositories, what is fetched from them and pushed to them, errors in one sentence.

Only files that this package reads are fetched (never pickles or code), and nothing that is fetched is executed. A name
may carry a revision, `owner/name@v1`; `pinned` replaces it by the commit, so that a saved recipe stays with it.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, Literal

from motionllm.errors import MotionLLMError

log = logging.getLogger(__name__)

Kind = Literal["model", "dataset"]
CALLED: dict[Kind, str] = {"model": "model", "dataset": "data set"}
# What is fetched: adapters and motion tokenizers with whole models in their place; Parquet files with their card.
FILES: dict[Kind, tuple[str, ...]] = {
    "model": ("*.json", "*.safetensors", "*.yaml", "*.jinja", "*.txt", "*.model", "README.md", "library.jsonl"),
    "dataset": ("*.parquet", "README.md"),
}
TIMEOUT = 10.0  # seconds for the hub's first answer

_WORD = r"[A-Za-z0-9_](?:[\w.-]{0,94}[A-Za-z0-9_])?"
_NAME = re.compile(rf"({_WORD}/{_WORD})(?:@([\w][\w./-]{{0,199}}))?", re.ASCII)
_COMMIT = re.compile(r"[0-9a-f]{40}")


def is_name(text: str) -> bool:
    """Whether a text can be the name of a repository, `owner/name` or `owner/name@revision`, and no path here.

    `runs/mine` is a path wherever there is a folder `runs`; `runs/mine@main` is always a name.
    """
    match = _NAME.fullmatch(text)
    if match is None or os.path.exists(text):
        return False
    return match[2] is not None or not os.path.isdir(text.split("/")[0])


def split(name: str) -> tuple[str, str | None]:
    """`owner/name@revision` → (`owner/name`, revision or None). Any other text is returned whole."""
    match = _NAME.fullmatch(name)
    return (match[1], match[2]) if match else (name, None)


def fetch(name: str, kind: Kind = "model") -> Path:
    """The folder of a repository's files in the hub's cache, fetched if needed; its name is the commit.

    Without a network, the copy of the last time is returned with a note. Raises MotionLLMError where there is no such
    repository or revision, it may not be read, or the hub cannot be reached and there is no copy.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    repository, revision = split(name)
    where: dict[str, Any] = {"repo_id": repository, "repo_type": kind, "allow_patterns": list(FILES[kind])}
    with _one_sentence(name, kind):
        commit, unreached = _commit(repository, revision, kind)
        try:
            there = snapshot_download(**where, revision=commit or revision, local_files_only=True)
        except LocalEntryNotFoundError:
            if unreached:
                raise unreached from None
            there = None
        if unreached:
            if not _offline():
                log.warning("The hub cannot be reached; %s is the copy of the last time.", name)
            return Path(str(there))
        with nullcontext() if there is None else _no_bars():  # what is there may lack files, but rarely does
            # By its own name, which the cache then keeps beside the commit, for the next time without a network.
            return Path(snapshot_download(**where, revision=revision, endpoint=_endpoint()))


def files(name: str, kind: Kind = "model") -> list[str]:
    """The paths of all files of a repository. Raises MotionLLMError as `fetch` does."""
    from huggingface_hub import HfApi

    repository, revision = split(name)
    with _one_sentence(name, kind):
        return HfApi(endpoint=_endpoint()).list_repo_files(repository, revision=revision, repo_type=kind)


@contextmanager
def opened(address: str) -> Iterator[Any]:
    """A file of a data set, hf://datasets/owner/name@commit/path, of which only what is asked for is fetched. Raises
    MotionLLMError as `fetch` does.
    """
    from huggingface_hub import HfFileSystem

    with _one_sentence(address, "dataset"), HfFileSystem(endpoint=_endpoint()).open(address, "rb") as stream:
        yield stream


def pinned(name: str, kind: Kind = "model") -> str:
    """`owner/name@commit` of a repository's name; any other text as it is. Raises MotionLLMError as `fetch` does."""
    if not is_name(name):
        return name
    from huggingface_hub import try_to_load_from_cache

    repository, revision = split(name)
    with _one_sentence(name, kind):
        commit, unreached = _commit(repository, revision, kind)
        if unreached:  # what was fetched before is recorded beside it
            first = "README.md" if kind == "dataset" else "config.json"
            file = try_to_load_from_cache(repository, first, revision=revision, repo_type=kind)
            if not isinstance(file, str):
                return f"{repository}@{fetch(name, kind).name}"
            commit = Path(file).parent.name
    return f"{repository}@{commit}"


def check_there(name: str, kind: Kind = "model") -> None:
    """Raise MotionLLMError, as `fetch` does, where a repository has no copy here and the hub does not have it, or
    cannot be reached; it is asked once.
    """
    from huggingface_hub import try_to_load_from_cache

    repository, revision = split(name)
    with _one_sentence(name, kind):
        if isinstance(try_to_load_from_cache(repository, "config.json", revision=revision, repo_type=kind), str):
            return
        _, unreached = _commit(repository, revision, kind)
        if unreached:
            raise unreached


def checked(name: str) -> tuple[str, str | None]:
    """`split`, of what must be a name. Raises MotionLLMError where it is none."""
    if not _NAME.fullmatch(name):
        raise MotionLLMError(
            f"{name[:200]!r} is no name of a repository; write owner/name, of letters, digits, `-`, `.` and `_`."
        )
    return split(name)


def check_push() -> None:
    """Raise MotionLLMError where nothing can be pushed: the hub's library is offline, or there is no token."""
    from huggingface_hub import get_token

    if _offline():
        raise MotionLLMError(
            "HF_HUB_OFFLINE is set, and pushing needs the hub; unset it, or write to a folder (--out)."
        )
    if not get_token():
        raise MotionLLMError("Pushing needs a token of the hub: run `hf auth login`, or set HF_TOKEN.")


def push(folder: Path, repository: str, kind: Kind, private: bool, branch: str | None, message: str) -> str:
    """Make the files of a folder the content of a repository or of its branch, in one commit, whose hash is returned.
    Repository and branch are created where there is none.

    Raises MotionLLMError for a token that may not write there, and where the hub cannot be reached.
    """
    from huggingface_hub import HfApi

    api = HfApi(endpoint=_endpoint())
    with _one_sentence(repository, kind):
        api.create_repo(repository, repo_type=kind, private=private or None, exist_ok=True)
        if branch and branch != "main":
            api.create_branch(repository, branch=branch, repo_type=kind, exist_ok=True)
        commit = api.upload_folder(
            repo_id=repository,
            folder_path=folder,
            repo_type=kind,
            revision=branch,
            commit_message=message,
            delete_patterns="*",  # what an earlier push left, else readers would have files of both
        )
    return str(commit.oid)


def address(name: str, kind: Kind) -> str:
    """The page of a repository."""
    from huggingface_hub import constants

    return f"{_endpoint() or constants.ENDPOINT}/{'datasets/' if kind == 'dataset' else ''}{split(name)[0]}"


def _commit(repository: str, revision: str | None, kind: Kind) -> tuple[str | None, Exception | None]:
    """(commit, None) as the hub names it, or (None, why) where it cannot be reached."""
    if revision and _COMMIT.fullmatch(revision):
        return revision, None
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    api = HfApi(endpoint=_endpoint())
    try:
        return api.repo_info(repository, repo_type=kind, revision=revision, timeout=TIMEOUT).sha, None
    except OfflineModeIsEnabled as error:
        return None, error
    except HfHubHTTPError as error:
        if error.response.status_code < 500:
            raise
        return None, error
    except Exception as error:
        if not _unreached(error):
            raise
        return None, error


def _unreached(error: BaseException) -> bool:
    """Whether an error of the library's HTTP client, whichever it is built on, is one of the connection."""
    kinds = {cls.__name__ for cls in type(error).__mro__}
    return bool(kinds & {"TransportError", "ConnectionError", "TimeoutError", "Timeout"})


def _offline() -> bool:
    from huggingface_hub import constants

    return bool(constants.HF_HUB_OFFLINE)


def _endpoint() -> str | None:
    return os.environ.get("HF_ENDPOINT") or None


@contextmanager
def _no_bars() -> Iterator[None]:
    from huggingface_hub.utils import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    before = are_progress_bars_disabled()
    disable_progress_bars()
    try:
        yield
    finally:
        if not before:
            enable_progress_bars()


@contextmanager
def _one_sentence(name: str, kind: Kind) -> Iterator[None]:
    """Turn any error of the hub or its library into a MotionLLMError of one sentence."""
    from huggingface_hub import constants, errors, get_token

    what, (repository, revision) = CALLED[kind], split(name)
    try:
        yield
    except MotionLLMError:
        raise
    except errors.GatedRepoError:
        raise MotionLLMError(
            f"The {what} {name} is gated: accept its terms on its page, and log in (`hf auth login`, or HF_TOKEN)."
        ) from None
    except errors.RepositoryNotFoundError:
        token = "the token may read it" if get_token() else "you are logged in (`hf auth login`, or HF_TOKEN)"
        raise MotionLLMError(
            f"The hub has no {what} {repository}, or it is private; check the name, and that {token}."
        ) from None
    except errors.RevisionNotFoundError:
        raise MotionLLMError(
            f"The {what} {repository} has no revision {revision or 'main'}; give a branch, a tag or a commit."
        ) from None
    except errors.HFValidationError:
        raise MotionLLMError(f"{name[:200]!r} is no name of a repository; write owner/name.") from None
    except Exception as error:  # also a full disk, and whatever the HTTP client raises
        local = isinstance(error, errors.LocalEntryNotFoundError)
        if isinstance(error, errors.OfflineModeIsEnabled) or (local and _offline()):
            raise MotionLLMError(
                f"The {what} {name} is not in the hub's cache, and HF_HUB_OFFLINE is set; unset it to fetch it."
            ) from None
        if local or _unreached(error):
            raise MotionLLMError(
                f"The hub ({_endpoint() or constants.ENDPOINT}) cannot be reached for the {what} {name}, and there is "
                "no copy of it here; check the network."
            ) from None
        if isinstance(error, errors.HfHubHTTPError) and getattr(error, "response", None) is not None:
            raise MotionLLMError(_refused(name, what, error.response.status_code, str(error))) from None
        raise MotionLLMError(f"The {what} {name} cannot be had from the hub ({_first(str(error))}).") from None


def _refused(name: str, what: str, status: int, text: str) -> str:
    if status == 401:
        return "The hub does not know this token; run `hf auth login` again, or set HF_TOKEN to a valid one."
    if status == 403:
        return f"The token may not do this with the {what} {name}; it needs the right to write to {name.split('/')[0]}."
    return f"The hub refused {name} (status {status}: {_first(text)})."


def _first(text: str) -> str:
    return next((line.strip().rstrip(".") for line in text.splitlines() if line.strip()), "no reason is given")[:200]
