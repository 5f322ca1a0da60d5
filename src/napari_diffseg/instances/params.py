"""How objects are made of the classes of a label image; every word of it is said here, once."""

from __future__ import annotations

from dataclasses import dataclass

from napari_diffseg.errors import ParameterError
from napari_diffseg.parameters import SelfDescribing, param


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectParams(SelfDescribing):
    """Parameters of objects: they change the result and are saved with it.

    Raises
    ------
    ParameterError
        A value is of the wrong type or out of its bounds; `.field` names it.
    """

    classes: str = param(
        "",
        "Classes",
        "Numbers of the classes that objects are made of, such as 2 or 2,3. Empty takes all but "
        "the background, which is the class of that name, else 0 or, where no pixel is 0, the "
        "largest class.",
        group="Objects",
    )
    split: float = param(
        -1.0,
        "Split touching",
        "Objects that touch are cut where there is a neck between them. Their centres are at "
        "least so far apart: higher cuts less.",
        values={
            -1.0: ("auto", "half the radius of a typical object of the class"),
            0.0: ("off", "nothing is cut"),
        },
        low=-1.0,
        high=1000.0,
        unit="px",
        group="Objects",
    )
    neck: int = param(
        # The best of 70, 75, 80, 85 and 90 on the true foreground of nuclei
        # (`benchmarks.objects`); at 100 cutting does more harm than good on stained sections.
        75,
        "Widest neck",
        "A neck is narrower than this share of the smaller of the two things that it joins: "
        "higher cuts more, and at 100 every bump is an object.",
        values={0: ("off", "nothing is cut")},
        low=0,
        high=100,
        unit="%",
        group="Objects",
    )
    min_size: int = param(
        -1,
        "Smallest object",
        "Objects of fewer pixels (of a volume: voxels) are dropped; cutting makes none either.",
        values={
            -1: ("auto", "5 % of a typical object of the class"),
            0: ("any", "all are kept"),
        },
        low=-1,
        high=2**31 - 1,
        unit="px",
        group="Objects",
    )
    fill_holes: bool = param(
        True,
        "Fill holes",
        "Holes that one class encloses belong to it, but for what another chosen class has there.",
        group="Objects",
    )
    clear_border: bool = param(
        False,
        "Drop those at the border",
        "Objects that the edge of the image cuts off are dropped (of a volume: the first and the "
        "last plane too), because their area is not known.",
        group="Objects",
    )
    smooth: float = param(
        0.0,
        "Smooth outlines",
        "Outlines are rounded: what is narrower than about so many pixels is gone.",
        values={0.0: ("off", "outlines stay as they are")},
        low=0.0,
        high=100.0,
        unit="px",
        group="Objects",
    )

    def __post_init__(self) -> None:
        # By name: a dataclass with slots is made anew, and `super()` would mean the old one.
        SelfDescribing.__post_init__(self)
        numbers = [part.strip() for part in self.classes.split(",")]
        if self.classes.strip() and not all(
            number.isdecimal() and 0 < int(number) < 2**31 for number in numbers
        ):
            raise ParameterError(
                "classes",
                f"classes is {self.classes!r}, but must be numbers from 1 on with commas between, "
                "such as 2,3, or empty for all.",
            )

    @property
    def class_numbers(self) -> tuple[int, ...]:
        """The chosen classes, ascending; empty where all are."""
        if not self.classes.strip():
            return ()
        return tuple(sorted({int(part) for part in self.classes.split(",")}))
