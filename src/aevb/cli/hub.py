"""The commands push and pull."""

import json as json_format
from pathlib import Path

from aevb.cli.common import Flag, Json, Plugins, RunPath
from aevb.files import HUB_PREFIX
from aevb.runs.run_folder import RunFolder
from aevb.runs.sharing import push_to_hub, save_pretrained


def push(
    run: RunPath,
    repo: str,
    /,
    *,
    private: Flag = False,
    message: str = "Push a run of aevb",
    json: Json = False,
    plugin: Plugins = (),
) -> None:
    """Upload a run with a model card to the Hugging Face hub: weights and scores, but neither data nor figures.

    Needs the extra hub and a login: hf auth login.

    Args:
        repo: OWNER/NAME; created if it does not exist.
        private: Create a private repository.
        message: Commit message.
    """
    address = push_to_hub(RunFolder.load(run), repo, commit_message=message, private=private or None)
    print(json_format.dumps({"address": address}) if json else f"pushed {run} to {address}")


def pull(
    repo: str,
    /,
    *,
    out: Path | None = None,
    json: Json = False,
    plugin: Plugins = (),
) -> None:
    """Download a run from the Hugging Face hub into a run folder.

    Needs the extra hub. No code of the repository is executed.

    Args:
        repo: OWNER/NAME, or OWNER/NAME@REVISION for a branch, a tag or a commit.
        out: Run folder to create. Default: runs/NAME.
    """
    name = repo.removeprefix(HUB_PREFIX)
    folder = out or Path("runs") / Path(name.partition("@")[0]).name
    save_pretrained(RunFolder.load(HUB_PREFIX + name), folder)
    print(json_format.dumps({"run": str(folder)}) if json else f"wrote {folder}")
