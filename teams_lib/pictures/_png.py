"""The card as a PNG, drawn by matplotlib: for measured times and values, which differ on each run.

nbval skips a PNG, so the numbers in it need not repeat. It holds two pixels for each CSS pixel.
"""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from teams_lib.pictures._card import BODY, INK, Align, Card, Font, Point

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.font_manager import FontProperties


class PngCard(Card):
    """A card whose picture is a PNG."""

    def __init__(self) -> None:
        super().__init__()
        # On a fresh machine matplotlib logs that it builds a cache of fonts: that would land in an output.
        logging.getLogger("matplotlib").setLevel(logging.ERROR)
        # Imported late: it takes 0.3 s. Not pyplot: it keeps figures alive and follows the notebook's settings.
        import matplotlib
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        self._folder = Path(matplotlib.get_data_path(), "fonts", "ttf")
        self._figure = Figure(dpi=200, facecolor="none")  # 100 CSS pixels an inch, two image pixels each
        self._canvas: Any = FigureCanvasAgg(self._figure)  # its methods are not typed
        self._axes = self._figure.add_axes((0, 0, 1, 1))
        self._axes.set_axis_off()
        self._widths: dict[tuple[str, Font], float] = {}

    def _font(self, font: Font) -> FontProperties:
        from matplotlib.font_manager import FontProperties

        return FontProperties(fname=self._folder / font.file, size=font.size * 0.72)  # in points

    def _add(self, artist: Artist, z: float) -> None:
        artist.set_zorder(z)
        self._axes.add_artist(artist)

    def measure(self, text: str, font: Font = BODY) -> float:
        if (text, font) not in self._widths:
            with _no_warnings():
                size = self._canvas.get_renderer().get_text_width_height_descent(text, self._font(font), ismath=False)
            self._widths[text, font] = size[0] / 2
        return self._widths[text, font]

    def write(self, x: float, baseline: float, line: str, font: Font, colour: str, align: Align) -> None:
        from matplotlib.text import Text

        text = Text(x, baseline, line, color=colour, fontproperties=self._font(font), usetex=False)
        text.set(horizontalalignment=align, verticalalignment="baseline", parse_math=False)
        self._add(text, 5)

    def box(
        self,
        x0: float,
        y0: float,
        x1: float,
        y1: float,
        *,
        fill: str,
        edge: str = "none",
        radius: float = 6,
        z: float = 3,
    ) -> None:
        from matplotlib.patches import FancyBboxPatch

        radius = min(radius, (x1 - x0) / 2, (y1 - y0) / 2)
        style = f"round,pad=0,rounding_size={radius}" if radius > 0.5 else "square,pad=0"
        self._add(FancyBboxPatch((x0, y0), x1 - x0, y1 - y0, style, fc=fill, ec=edge, lw=0.8), z)

    def line(
        self, points: Sequence[Point], colour: str, width: float = 1, dashes: tuple[float, ...] = (), z: float = 3
    ) -> None:
        from matplotlib.lines import Line2D

        line = Line2D(*zip(*points, strict=True), color=colour, linewidth=width * 0.72, solid_capstyle="butt")
        line.set_linestyle((0, dashes) if dashes else "-")
        self._add(line, z)

    def polygon(self, points: Sequence[Point], colour: str) -> None:
        from matplotlib.patches import Polygon

        self._add(Polygon(points, facecolor=colour, edgecolor="none"), 4)

    def dot(self, x: float, y: float, colour: str) -> None:
        from matplotlib.patches import Circle

        self._add(Circle((x, y), 5, facecolor=colour, edgecolor=INK, linewidth=0.4), 4)

    def render(self, height: int, title: str, text: str) -> bytes:
        from PIL import Image

        self._figure.set_size_inches(self.width / 100, height / 100)
        self._axes.set(xlim=(0, self.width), ylim=(height, 0))
        with _no_warnings():
            self._canvas.draw()
        image = Image.frombuffer("RGBA", self._canvas.get_width_height(), self._canvas.buffer_rgba())
        png = io.BytesIO()
        # 128 colours are enough for these drawings, and make the file three times smaller.
        small = image.convert("RGB").quantize(127, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
        palette = small.getpalette() or []
        outside = len(palette) // 3  # a colour of its own, for what is beyond the rounded corners
        small.putpalette([*palette, 255, 255, 255])
        small.paste(outside, mask=image.getchannel("A").point([255] * 128 + [0] * 128))
        small.save(png, "png", transparency=outside)
        return png.getvalue()


@contextmanager
def _no_warnings() -> Iterator[None]:
    """Hide the warning of a character that the font lacks: it is drawn as an empty box."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
