"""The commands export and explore."""

import json as json_format
import webbrowser
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from aevb.cli import terminal
from aevb.cli.common import Condition, DataDir, Flag, Json, Plugins, ReadPath, print_file
from aevb.errors import BadInput
from aevb.explorer.server import serve as serve_pages
from aevb.workflow.run import load_run


def export(
    run: ReadPath,
    /,
    *,
    out: Path | None = None,
    json: Json = False,
    plugin: Plugins = (),
) -> None:
    """Export encoder and decoder as ONNX files and compare them with PyTorch.

    The encoder returns mean and standard deviation of q(z|x), the decoder the mean of p(x|z), for any batch size.

    Args:
        out: Folder for encoder.onnx and decoder.onnx. Default: onnx in the run folder.
    """
    loaded = load_run(run)
    with terminal.status("exporting"):
        files = loaded.export(out)
    terminal.show_exported(files, json)


def explore(
    runs: list[Path],
    /,
    *,
    no_open: Flag = False,
    condition: Condition = {},  # noqa: B006  (never changed)
    serve: Flag = False,
    host: str = "127.0.0.1",
    port: Annotated[int, Parameter(validator=Number(gte=0, lte=65535))] = 0,
    data_dir: DataDir = None,
    json: Json = False,
    plugin: Plugins = (),
) -> None:
    """Write explorer.html, an interactive page of a trained model, and open it.

    The page is one file in the run folder, needs no network and decodes under the pointer. Two runs are shown side by
    side, in the folder of the first.

    Args:
        runs: Run folder, or two to compare.
        no_open: Do not open the page in a browser.
        serve: Serve the page over HTTP until Ctrl-C instead of writing a file. Use this for models too large to embed.
        host: Name or address to serve on. The default is accessible from this machine only; 0.0.0.0 serves on all
            addresses.
        port: Port to serve on. Default: any free port.
    """
    if len(runs) > 2:
        raise BadInput(f"explore shows one run or compares two, got {len(runs)}")
    first, *others = (load_run(run, data_dir=data_dir) for run in runs)
    if serve:
        pages = [run.explorable(condition or None) for run in (first, *others)]
        serve_pages(pages, host, port, lambda address: _announce(address, no_open, json))
        return
    with terminal.status("writing the page"):
        path = first.explore(*others, condition=condition or None).path
    print_file(path, json)
    if not no_open:
        webbrowser.open(path.resolve().as_uri())


def _announce(address: str, no_open: bool, json: bool) -> None:
    print(json_format.dumps({"address": address}) if json else f"serving {address} until Ctrl-C", flush=True)
    if not no_open:
        webbrowser.open(address)
