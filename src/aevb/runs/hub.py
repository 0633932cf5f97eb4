"""Run folders on the Hugging Face hub: hub:OWNER/NAME, or hub:OWNER/NAME@REVISION.

Only files with known names are downloaded, into the cache of the hub, and none is executed. `hf auth login`, HF_TOKEN
and HF_ENDPOINT select the account and the server. Needs the extra `hub`.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from textwrap import shorten
from typing import Any

from aevb.errors import BadInput
from aevb.files import HUB_PREFIX


def is_address(location: object) -> bool:
    """Return whether a location is an address on the hub."""
    return str(location).startswith(HUB_PREFIX)


def fetch(address: str, files: Sequence[str], *, revision: str | None = None, **options: Any) -> Path:
    """Download files of a repository and return their folder in the cache of the hub.

    Args:
        address: of a model, with or without hub: in front.
        files: names or patterns; those that do not exist are skipped.
        revision: branch, tag or commit, if the address has none.
        options: token, cache_dir, force_download and local_files_only, as in `huggingface_hub.snapshot_download`.

    Raises:
        BadInput: the repository does not exist or cannot be reached, or the extra is not installed.
    """
    repo_id, _, own_revision = address.removeprefix(HUB_PREFIX).partition("@")
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", repo_id):
        raise BadInput(f"{address} is neither a folder nor an address on the hub: expected OWNER/NAME")
    library = _library()
    with _explained(f"cannot fetch {HUB_PREFIX}{repo_id}"):
        folder = library.snapshot_download(
            repo_id,
            revision=own_revision or revision,
            allow_patterns=list(files),
            library_name="aevb",
            library_version=version("aevb"),
            **options,
        )
    return Path(folder)


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
    """Upload files of a folder to a repository, created if it does not exist, and return the address of the commit.

    Args:
        folder: with the files.
        files: names or patterns.
        repo_id: OWNER/NAME, or NAME in your own namespace.
        commit_message, private, token, branch, create_pr: as in `huggingface_hub.ModelHubMixin.push_to_hub`.

    Raises:
        BadInput: the repository cannot be reached or written, or the extra is not installed.
    """
    repo_id = repo_id.removeprefix(HUB_PREFIX)
    library = _library()
    with _explained(f"cannot push to {HUB_PREFIX}{repo_id}"):
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
    """Turn any error into a `BadInput` of one line."""
    try:
        yield
    except Exception as error:  # the errors differ between versions of the library
        reason = shorten(str(error), 200, placeholder=" …") or type(error).__name__
        raise BadInput(f"{action}: {reason}") from error
