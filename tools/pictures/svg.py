# SPDX-License-Identifier: MIT
"""What a terminal shows, as a picture: text with colours becomes SVG."""
import html
import re

WIDTH, HEIGHT, MARGIN, SIZE = 8.4, 18, 12, 14
PAPER, INK = "#1b1d23", "#d8dae0"
COLOURS = ["#3b3f4a", "#ff6b68", "#8cc265", "#e5c07b", "#61afef", "#c678dd", "#56c8d8", INK]


class Pen:
    """How the next characters look."""

    def __init__(self):
        self.reset()

    def reset(self):
        self.ink, self.bold, self.dim, self.line, self.inverted = INK, False, False, False, False

    def take(self, codes):
        for code in (int(x or 0) for x in codes.split(";")):
            if code == 0:
                self.reset()
            elif code in (1, 22):
                self.bold, self.dim = code == 1, False
            elif code == 2:
                self.dim = True
            elif code in (4, 24):
                self.line = code == 4
            elif code in (7, 27):
                self.inverted = code == 7
            elif 30 <= code <= 37:
                self.ink = COLOURS[code - 30]
            elif code == 39:
                self.ink = INK

    def draw(self, text, column, row):
        x, y = MARGIN + column * WIDTH, MARGIN + row * HEIGHT
        ink, wide = self.ink, len(text) * WIDTH
        if self.inverted:
            yield '<rect x="%.1f" y="%d" width="%.1f" height="%d" fill="%s"/>' % (x, y, wide, HEIGHT, ink)
            ink = PAPER
        if not text.strip():
            return
        style = ' font-weight="bold"' if self.bold else ""
        style += ' opacity="0.6"' if self.dim else ""
        style += ' text-decoration="underline"' if self.line else ""
        yield '<text x="%.1f" y="%d" fill="%s" textLength="%.1f"%s>%s</text>' % (
            x, y + HEIGHT - 5, ink, wide, style, html.escape(text))


def picture(painted, columns):
    """@painted: lines with the escape sequences of tmux capture-pane -e."""
    lines = painted.rstrip("\n").split("\n")
    out, pen = [], Pen()
    for row, line in enumerate(lines):
        column = 0
        for part in re.split(r"(\x1b\[[0-9;]*m)", line):
            if part.startswith("\x1b"):
                pen.take(part[2:-1])
            elif part:
                out += pen.draw(part, column, row)
                column += len(part)
        if pen.inverted:        # tmux leaves out blanks at the end
            out += pen.draw(" " * (columns - column), column, row)
    width, height = 2 * MARGIN + columns * WIDTH, 2 * MARGIN + len(lines) * HEIGHT
    head = ['<!-- SPDX-License-Identifier: MIT -->',
            '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %d" font-family="monospace" '
            'font-size="%d" xml:space="preserve">' % (width, height, SIZE),
            '<rect width="100%%" height="100%%" rx="8" fill="%s"/>' % PAPER]
    return "\n".join(head + out + ["</svg>"]) + "\n"
