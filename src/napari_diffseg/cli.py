"""The command line: ``napari-diffseg segment``, ``info`` and ``demo``.

Exit codes: 0 done; 1 an error, told in one line; 2 wrong usage; 130 interrupted.
Neither torch nor napari is loaded before a command needs it, and napari never: the
demonstration runs in a process of its own.
"""

from __future__ import annotations

import argparse
import logging
import os
import platform
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib import metadata
from importlib.util import find_spec
from io import TextIOWrapper
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from napari_diffseg import __version__
from napari_diffseg.cli_options import add_options, add_parameters, read_options, read_parameters
from napari_diffseg.errors import DiffSegError, OutputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_diffseg.core.result import Segmentation
    from napari_diffseg.io.reading import ImageFile
    from napari_diffseg.params import RunOptions, SegmentationParams

INTERRUPTED = 130
"""Exit code after Ctrl-C, as a shell expects it."""

_PACKAGES = ("torch", "numpy", "scikit-image", "tifffile", "pillow", "napari")
"""Packages whose versions ``info`` prints."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments without the program's name; those of the process where None.

    Raises
    ------
    SystemExit
        After ``--help`` and ``--version`` (0), or for wrong usage (2).
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            # A terminal that cannot show μ or × gets a question mark, not an error.
            stream.reconfigure(errors="replace")
    args = _parser().parse_args(argv)
    # tifffile logs what it dislikes in a file; what matters of it comes as an error.
    logging.getLogger("tifffile").addHandler(logging.NullHandler())
    try:
        code: int = args.command(args)
    except DiffSegError as error:
        _say(f"error: {error}")
        return 1
    except KeyboardInterrupt:
        _say("cancelled.")
        return INTERRUPTED
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="napari-diffseg",
        description="Segment images without training data, by differentiable feature clustering.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add_segment(commands)
    info = commands.add_parser("info", help="print versions, devices and threads")
    info.set_defaults(command=_info)
    demo = commands.add_parser(
        "demo", help="run the widget in napari on a sample image and take a screenshot"
    )
    demo.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path("demo-output"),
        metavar="DIR",
        help="folder for the labels and the screenshot (default: %(default)s)",
    )
    demo.set_defaults(command=_demo)
    return parser


def _add_segment(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    segment = commands.add_parser(
        "segment",
        help="segment one image",
        description="Segment one image. The first Ctrl-C ends the training and keeps what "
        "there is; the second cancels, and nothing is written.",
        allow_abbrev=False,
    )
    segment.add_argument("image", type=Path, metavar="IN", help="TIFF, OME-TIFF, PNG or JPEG file")
    segment.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        metavar="OUT",
        help="file for the labels: .ome.tif, .tif (both OME-TIFF) or .png",
    )
    segment.add_argument(
        "--axes",
        metavar="LETTERS",
        help="one letter of T C Z Y X for each axis of the image, such as YXC "
        "(default: what the file says, else a guess)",
    )
    segment.add_argument(
        "--scribbles",
        type=Path,
        metavar="FILE",
        help="TIFF or PNG of the image's height and width with what was painted: 0 where nothing "
        "is, else the number of a class, which comes out as the label of that number",
    )
    segment.add_argument("--force", action="store_true", help="overwrite OUT")
    segment.add_argument("--quiet", action="store_true", help="print nothing but errors")
    add_options(segment)
    add_parameters(segment)
    segment.set_defaults(command=_segment)


def _say(text: str) -> None:
    print(f"napari-diffseg: {text}", file=sys.stderr)


# --- segment -----------------------------------------------------------------------


def _segment(args: argparse.Namespace) -> int:
    params = read_parameters(args)
    options = read_options(args)

    from napari_diffseg.io.reading import read_class_numbers, read_image
    from napari_diffseg.io.writing import check_output, write_labels

    _check_paths(args.image, args.scribbles, args.output)
    check_output(args.output, force=args.force)
    painted = None if args.scribbles is None else read_class_numbers(args.scribbles)
    image = read_image(args.image)
    names = {"image": image.path.name}
    if painted is not None:
        names["scribbles"] = painted.path.name
    with _first_interrupt_finishes() as interrupt:
        result = _train(image, painted, args, params, options, interrupt)
        size = image.pixel_size
        # Files lie with y before x; where --axes says otherwise the labels lie turned.
        if size is not None and result.axes.axes.index("X") < result.axes.axes.index("Y"):
            size = replace(size, y=size.x, x=size.y)
        write_labels(
            args.output,
            result.labels,
            pixel_size=size,
            provenance={**names, **result.provenance()},
            force=args.force,
        )
    if not args.quiet:
        for note in (*image.notes, *(painted.notes if painted else ()), *result.notes):
            _say(note)
        _say(
            f"{result.n_labels} labels{_facts(result)}, {result.seconds:.1f} s: "
            f"written to {args.output}"
        )
    return 0


def _facts(result: Segmentation) -> str:
    """Return in words how a result came about."""
    facts = ""
    if result.scribbles is not None:
        facts += f", {len(result.scribbles.classes)} of them painted"
    if result.classes is None:  # else the rounds of the correction came after the iterations
        facts += f", {len(result.history)} of {result.params.n_iterations} iterations"
        facts += f" ({result.stop_reason.value})"
    return facts


def _check_paths(image: Path, scribbles: Path | None, output: Path) -> None:
    """Refuse to put the labels in a source's place; with ``--force`` it would be lost."""
    for source, what in ((image, "image itself"), (scribbles, "file of scribbles itself")):
        if source and source.exists() and output.exists() and source.samefile(output):
            raise OutputError(f"{output} is the {what}; choose another name for the labels.")


def _train(
    image: ImageFile,
    painted: ImageFile | None,
    args: argparse.Namespace,
    params: SegmentationParams,
    options: RunOptions,
    interrupt: _Interrupt,
) -> Segmentation:
    """Drain the training generator into a progress bar."""
    from tqdm import tqdm

    from napari_diffseg.core.segmentation import segment_steps
    from napari_diffseg.core.training import Command

    # Whether channels are colours is known of the file's own axes only.
    axes, rgb = (image.axes, image.rgb) if args.axes is None else (args.axes, None)
    steps = segment_steps(
        image.pixels,
        scribbles=None if painted is None else _turned(painted.pixels, axes),
        axes=axes,
        rgb=rgb,
        params=params,
        options=options,
    )
    command: Command | None = None
    # Without a terminal (None) there is no bar either: it would fill a log file.
    with tqdm(
        total=params.n_iterations, unit="it", disable=True if args.quiet else None, leave=False
    ) as bar:
        try:
            while True:
                step = steps.send(command)
                bar.set_postfix(clusters=step.n_clusters, loss=f"{step.loss:.3f}", refresh=False)
                if step.labelled:
                    bar.set_description(f"labelling {step.labelled:.0%}")
                else:
                    # Scribbles are followed in rounds that count from 1 again.
                    bar.total = step.n_iterations
                    bar.update(step.index - bar.n)
                command = Command.FINISH if interrupt.met else None
        except StopIteration as end:
            result: Segmentation = end.value
            return result
        finally:
            steps.close()


def _turned(painted: NDArray[Any], axes: str | None) -> NDArray[Any]:
    """Turn scribbles, which lie as the image's file does, so that y comes before x."""
    letters = (axes or "YX").upper()
    if "X" in letters and letters.find("X") < letters.find("Y"):
        return (painted if painted.ndim == 2 else painted.squeeze()).T
    return painted


@dataclass
class _Interrupt:
    """Whether Ctrl-C was pressed."""

    met: bool = False


@contextmanager
def _first_interrupt_finishes() -> Iterator[_Interrupt]:
    """Note the first Ctrl-C, and raise KeyboardInterrupt only at the second."""
    interrupt = _Interrupt()

    def note(number: int, frame: FrameType | None) -> None:
        if interrupt.met:
            raise KeyboardInterrupt
        interrupt.met = True
        _say("keeping what there is; press Ctrl-C again to cancel.")

    before = signal.signal(signal.SIGINT, note)
    try:
        yield interrupt
    finally:
        signal.signal(signal.SIGINT, before)


# --- info --------------------------------------------------------------------------


def _info(args: argparse.Namespace) -> int:
    import torch

    from napari_diffseg.core.device import available_devices

    facts = {
        "napari-diffseg": __version__,
        "python": platform.python_version(),
        **{name: _version(name) for name in _PACKAGES},
        "system": platform.platform(),
        "devices": ", ".join(available_devices()),
        "threads": f"{torch.get_num_threads()} of {os.cpu_count()} processors",
    }
    width = max(map(len, facts))
    for name, fact in facts.items():
        print(f"{name:<{width}}  {fact}")
    return 0


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


# --- demo --------------------------------------------------------------------------


def _demo(args: argparse.Namespace) -> int:
    if find_spec("napari") is None:
        raise DiffSegError(
            "The demo needs napari, which is not installed; run pip install 'napari-diffseg[all]'."
        )
    # The widgets stay behind a process: this door never imports the other one.
    demo = [sys.executable, "-m", "napari_diffseg.widgets.demo", "-o", str(args.output)]
    return subprocess.call([*_display_prefix(), *demo])


def _display_prefix() -> list[str]:
    """Return what to put before a command so that it has a display: nothing, or xvfb-run."""
    has_display = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    if has_display or sys.platform != "linux":
        return []
    xvfb = shutil.which("xvfb-run")
    if xvfb is None:
        raise DiffSegError(
            "The demo needs a display, and there is none; install the system package 'xvfb' "
            "(it brings xvfb-run), or run the demo on a desktop."
        )
    return [xvfb, "-a", "-s", "-screen 0 1600x1000x24"]
