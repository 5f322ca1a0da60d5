"""What a run says to a person; no Qt, no layers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_diffseg.errors import DiffSegError, count_in_words

if TYPE_CHECKING:
    from napari_diffseg.core.published.training import Iteration
    from napari_diffseg.core.result import Segmentation

NO_BREAK = "\N{NO-BREAK SPACE}"

KEY_SEGMENT, KEY_STOP, KEY_CLASS, KEY_SHOW = "Ctrl+Return", "Ctrl+.", "Alt+C", "Alt+R"

BACK = (
    "Back at the result before. Your strokes are all still there: the next stroke or Segment takes "
    "them in again."
)
FOLLOWING = "Following your strokes …"
FOLLOWING_REST = "Following your strokes … what you see is done; the rest of the image follows."
LOOKING_FOR_DOUBTS = "Looking where the result is unsure …"
DOUBTS_SHOWN = "Cyan is where the result is unsure."
DOUBTS_THERE = "Around the middle of the view the result is unsure. Press again for the next place."
DOUBTS_ELSEWHERE = "Back at the plane that the result is of. "
DOUBTS_AGAIN = "All unsure places were seen; this is the first again. "
NO_DOUBTS_SHOWN = "The result is sure everywhere, so nothing is cyan."
NO_DOUBTS = "There is no place to go to: the result is sure, or painted, everywhere."
PAINT = (
    "Paint a stroke with class 1 on one thing, the background for example, and one with class 2 on "
    "another; then press Segment, or tick Live and keep painting."
)
UNPAINTED = "Nothing is painted here yet: press Segment, or paint a stroke."
UNPAINTED_HERE = (
    "Nothing is painted on this plane; press Segment to label it by the strokes on the others."
)
SCRIBBLES_GONE = "The scribbles layer was removed; the result stays as it is."
ONLY_HERE = "Of the scribbles, the strokes on this plane are used."
SAY_AXES = "Say first how the axes of the image are read, at the top."
SAY_SIZE = "Correct the pixel size first, at the top."
ONLY_THIS_VOLUME = "Of the scribbles, the strokes of this time point are used, on all its planes."
PAINT_IN_2D = (
    "Strokes are painted in the 2D view: switch to it with the button with the cube, below the "
    "layer list."
)
LATER = "These strokes are taken in when the run under way is over."
ALL_PAINTED = "Every pixel goes to a class that you painted, so there is nothing to merge."
HINT = "Press Segment: labels appear on the image as they form."
GOES_ON = "The result is as you left it; strokes and numbers of labels act on it."
STARTING = "Starting …"
STARTING_FIRST = "Starting … the first run takes a few seconds longer."
BUSY = "A segmentation is already running; stop it, then start again."
FINISHING = "Stopping … the labels found so far are kept. Stop again to keep nothing of this run."
STAYS = "Stopped; the result stays as it is."
GIVEN_UP = "Stopped; everything is as it was before."
EDITED = "You have edited the result, so it is left as it is; the number counts for the next run."
NO_MODEL = "There is no model yet: press Segment, or load one under Model."
REST_IS_ONE = "All the rest is one class now, the background; press Segment."
REST_IS_OPEN = "All the rest gets labels of its own again; press Segment."
NO_RESULT = "There is no result yet: press Segment."
WAIT = "Wait until the run under way is over, or stop it."
NOTHING_BEFORE = (
    "There is no other result before this one: it is the first on its layer, or the one before had "
    "the same labels."
)
REMOVED = "Stopped, because its result layer was removed."


def stays_in_words(opened: str, chosen: str) -> str:
    """Return that another image was opened, and which one the dock is about all the same."""
    return (
        f"{opened!r} is open now; the dock stays with {chosen!r}, which you have worked on. Choose "
        "the other one at the top, under Image."
    )


def duration_in_words(seconds: float) -> str:
    """Return e.g. ``"0.4 s"``, ``"12 s"``, ``"2 min 05 s"`` or ``"3 h 07 min"``."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes = round(whole / 60)
    if minutes < 60:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def of_frames(said: str, is_movie: bool) -> str:
    """Return what is said of planes as it is said of the frames of a movie."""
    return said.replace("plane", "frame") if is_movie else said


def planes_in_words(n_elsewhere: int | None, most: int, *, is_painted: bool) -> str:
    """Return which strokes of a stack count, and where."""
    if n_elsewhere is None:
        return "Strokes on all planes are learned from together."
    if not n_elsewhere:
        return "You can paint on several planes: all strokes are learned from together."
    if n_elsewhere > most:
        here = "this one and " if is_painted else ""
        return (
            f"Of {n_elsewhere + is_painted} painted planes, {here}the {most} nearest are "
            "learned from together."
        )
    if is_painted:
        return f"Strokes on {n_elsewhere + 1} planes are learned from together."
    painted = count_in_words(n_elsewhere, "other plane")
    return f"This plane has no strokes; it is labelled by those on {painted}."


def progress_in_words(facts: Iteration) -> str:
    """Return iteration, clusters and time, e.g. for the status line."""
    if facts.labelled:
        return f"Labelling the whole image: {facts.labelled:.0%}"
    if facts.index == 0:
        return "A first look at a few of the pixels"
    return (
        f"Iteration {facts.index} of {facts.n_iterations} · "
        f"{count_in_words(facts.n_clusters, 'cluster')} · {duration_in_words(facts.seconds)}"
    )


def result_in_words(segmentation: Segmentation) -> str:
    """Return what came out, how long it took, why it ended, and what to know of it."""
    labels = count_in_words(segmentation.n_labels, "label")
    time = duration_in_words(segmentation.seconds)
    facts = []
    if segmentation.params.n_iterations > 1:
        facts.append(count_in_words(len(segmentation.history), "iteration"))
    n_others = len(segmentation.references)
    if n_others:
        facts.append(f"learned from {n_others + 1} planes")
    reason = segmentation.stop_reason
    # That all iterations were done is what one expects; only another end is worth a word.
    if reason.name != "ITERATIONS":
        facts.append(reason.value)
    more = f" ({', '.join(facts)})" if facts else ""
    done = f"Done: {labels} in {time}{more}."
    return " ".join([done, *segmentation.notes])


def followed_in_words(segmentation: Segmentation) -> str:
    """Return what a correction by strokes came to."""
    labels = count_in_words(segmentation.n_labels, "label")
    if segmentation.scribbles is None:
        return f"Strokes are gone: {labels}, as without strokes."
    done = f"Strokes followed in {duration_in_words(segmentation.seconds)}: {labels}."
    return " ".join([done, *segmentation.notes])


def merged_in_words(segmentation: Segmentation) -> str:
    """Return how many labels there are now."""
    how = "what is most alike shares one"
    if segmentation.params.n_labels == 0:
        chosen = segmentation.params.design == "pretrained"
        how = "as many as are clearly unlike" if chosen else "all that were found"
    return f"{count_in_words(segmentation.n_labels, 'label')} now; {how}."


def kept_in_words(name: str) -> str:
    """Return where the copy of a result is."""
    return f"Kept as the layer {name!r}; it is hidden: click its eye in the layer list to see it."


def error_in_words(error: Exception) -> str:
    """Return one sentence on what went wrong."""
    if isinstance(error, DiffSegError):
        return str(error)
    return f"Something unexpected went wrong ({type(error).__name__}: {error}); please report it."
