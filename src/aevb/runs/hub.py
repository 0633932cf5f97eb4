"""The Hugging Face hub, where run folders can be put and fetched from: hub:OWNER/NAME, or hub:OWNER/NAME@REVISION.

Only files of names that are asked for are fetched, into the hub's own cache, and none of them is ever executed. Who one
is there, and which server it is, decide `hf auth login`, HF_TOKEN and HF_ENDPOINT. Needs the extra `hub`.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from textwrap import shorten
from typing import Any

from aevb.errors import BadInput

PREFIX = "hub:"


def is_address(place: object) -> bool:
    """Whether something is meant to lie on the hub."""
    return str(place).startswith(PREFIX)


def fetch(address: str, files: Sequence[str], *, revision: str | None = None, **options: Any) -> Path:
    """The folder, in the hub's cache, with those of the files that a repository has.

    Args:
        address: of a model, with or without hub: before it.
        files: their names.
        revision: a branch, a tag or a commit, where the address does not say.
        options: token, cache_dir, force_download and local_files_only, as in `huggingface_hub.snapshot_download`.

    Raises:
        BadInput: there is no such repository, it cannot be reached, or the extra is missing.
    """
    repo_id, _, asked = address.removeprefix(PREFIX).partition("@")
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", repo_id):
        raise BadInput(f"{address} is neither a folder here nor an address on the hub: expected OWNER/NAME")
    library = _library()
    with _explained(f"cannot fetch {PREFIX}{repo_id}"):
        found = library.snapshot_download(
            repo_id,
            revision=asked or revision,
            allow_patterns=list(files),
            library_name="aevb",
            library_version=version("aevb"),
            **options,
        )
    return Path(found)


def push(
    folder: Path,
    files: Sequence[str],
    repo_id: str,
    *,
    commit_message: str,
    private: bool | None,
    token: str | None,
    branch: str | None,
    create_pr: bool | None,
) -> str:
    """Put files of a folder into a repository, which is made where there is none, and say where they are.

    Args:
        folder, files: which.
        repo_id: OWNER/NAME, or NAME alone for one's own.
        commit_message, private, token, branch, create_pr: as in `huggingface_hub.ModelHubMixin.push_to_hub`.

    Raises:
        BadInput: it may not be written, cannot be reached, or the extra is missing.
    """
    repo_id = repo_id.removeprefix(PREFIX)
    library = _library()
    with _explained(f"cannot push to {PREFIX}{repo_id}"):
        api = library.HfApi(token=token, library_name="aevb", library_version=version("aevb"))
        repo_id = api.create_repo(repo_id, private=private, exist_ok=True).repo_id
        options = {"commit_message": commit_message, "revision": branch, "create_pr": create_pr}
        return str(api.upload_folder(repo_id=repo_id, folder_path=folder, allow_patterns=list(files), **options))


def _library() -> Any:
    try:
        import huggingface_hub
    except ImportError as error:
        raise BadInput("the hub needs huggingface_hub: pip install 'aevb[hub]'") from error
    return huggingface_hub


@contextmanager
def _explained(action: str) -> Iterator[None]:
    """What went wrong in one line."""
    try:
        yield
    except Exception as error:  # each version of the library has errors of its own
        reason = shorten(str(error), 200, placeholder=" …") or type(error).__name__
        raise BadInput(f"{action}: {reason}") from error
