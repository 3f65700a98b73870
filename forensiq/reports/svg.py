"""A little SVG: shapes in grey, so that a picture says the same on a black-and-white printer.

Only numbers and our own words are drawn; nothing from evidence ever gets into a picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

__all__ = ["DARK", "LIGHT", "MIDDLE", "Drawing"]

LIGHT, MIDDLE, DARK = "#dfe5ea", "#9aa7b2", "#1d2329"
_FACE = "Libertinus Serif, Georgia, serif"


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")


class Drawing:
    """Collects shapes; lengths in user units, origin at the top left."""

    def __init__(self, width: float, height: float, title: str) -> None:
        self._open = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_number(width)} {_number(height)}" '
            f'width="{_number(width)}" height="{_number(height)}" role="img">'
            f"<title>{escape(title)}</title>"
        )
        self._parts: list[str] = []

    def box(self, x: float, y: float, width: float, height: float, fill: str, line: str = "none") -> None:
        """A filled rectangle."""
        self._parts.append(
            f'<rect x="{_number(x)}" y="{_number(y)}" width="{_number(max(0.0, width))}" '
            f'height="{_number(height)}" fill="{fill}" stroke="{line}" stroke-width="0.75"/>'
        )

    def crossed(self, x: float, y: float, width: float, height: float) -> None:
        """A white rectangle with a diagonal: never read."""
        self.box(x, y, width, height, "#ffffff", MIDDLE)
        self.line([(x, y + height), (x + width, y)], MIDDLE, 0.75)

    def line(self, points: Sequence[tuple[float, float]], colour: str = DARK, width: float = 1.0) -> None:
        """A line through ``points``."""
        path = " ".join(f"{_number(x)},{_number(y)}" for x, y in points)
        self._parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{_number(width)}"/>')

    def area(self, points: Sequence[tuple[float, float]], fill: str = LIGHT) -> None:
        """A filled shape."""
        path = " ".join(f"{_number(x)},{_number(y)}" for x, y in points)
        self._parts.append(f'<polygon points="{path}" fill="{fill}"/>')

    def dot(self, x: float, y: float, radius: float, fill: str = DARK) -> None:
        """A filled circle."""
        self._parts.append(f'<circle cx="{_number(x)}" cy="{_number(y)}" r="{_number(radius)}" fill="{fill}"/>')

    def text(self, x: float, y: float, words: str, size: float = 12, anchor: str = "start", fill: str = DARK) -> None:
        """Our own words; ``anchor`` ``start``, ``middle`` or ``end``."""
        self._parts.append(
            f'<text x="{_number(x)}" y="{_number(y)}" font-family="{_FACE}" font-size="{_number(size)}" '
            f'text-anchor="{anchor}" fill="{fill}">{escape(words)}</text>'
        )

    def svg(self) -> str:
        """Return the drawing."""
        return self._open + "".join(self._parts) + "</svg>"
