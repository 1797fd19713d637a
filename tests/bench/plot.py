# SPDX-License-Identifier: GPL-2.0-only
"""Plots as SVG, with nothing but text: lines over a logarithmic x, and bars."""
import math
from xml.sax.saxutils import escape

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 720, 400, 70, 190, 44, 50
COLOURS = ["#1b6ca8", "#d1495b", "#2e8b57", "#8a5a9e", "#c98a1b", "#4a4a4a", "#17a2a2", "#a0522d"]


def text(x, y, words, anchor="middle", size=12, fill="#222"):
    return (f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" '
            f'fill="{fill}">{escape(str(words))}</text>')


def line(x1, y1, x2, y2, colour="#ddd", more=""):
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" {more}/>'


def ticks(low, high, log):
    """Places of the y axis, both ends included."""
    if log:
        marks = [m * 10.0 ** e for e in range(-3, 10) for m in (1, 2, 5)]
    else:
        step = 10.0 ** math.floor(math.log10(high - low))
        step = next(s for s in (step / 10, step / 5, step / 2, step) if (high - low) / s <= 7)
        marks = [math.floor(low / step) * step + i * step for i in range(30)]
    inside = [m for m in marks if low <= m <= high]
    below = [m for m in marks if m <= low]
    above = [m for m in marks if m >= high]
    return sorted(set(below[-1:] + inside + above[:1]))


def frame(title, unit):
    return [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" '
            f'viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif">',
            f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
            text(LEFT, 22, title, "start", 15), text(LEFT, 38, unit, "start", 11, "#666")]


def number(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def lines(path, title, unit, series, bar=None, xlabel="policies", log=False):
    """series: {name: {x: (y, low, high)}}; bar: (y, words), a line not to be crossed."""
    points = [p for s in series.values() for p in s.values()]
    xs = sorted({x for s in series.values() for x in s})
    low, high = min(p[1] for p in points), max([p[2] for p in points] + ([bar[0]] if bar else []))
    marks = ticks(low if log else min(low, 1) * 0.98, high * 1.02, log)
    scale = math.log if log else float
    bottom, top = scale(marks[0]), scale(marks[-1])

    def at(x, y):
        span = math.log(xs[-1] / xs[0]) or 1
        return (LEFT + (WIDTH - LEFT - RIGHT) * math.log(x / xs[0]) / span,
                HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (scale(y) - bottom) / (top - bottom))

    out = frame(title, unit)
    for mark in marks:
        y = at(xs[0], mark)[1]
        out += [line(LEFT, y, WIDTH - RIGHT, y), text(LEFT - 6, y + 4, number(mark), "end", 11)]
    for x in xs:
        out.append(text(at(x, marks[0])[0], HEIGHT - BOTTOM + 18, number(x), size=11))
    out.append(text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 12, xlabel))
    if bar:
        y = at(xs[0], bar[0])[1]
        out += [line(LEFT, y, WIDTH - RIGHT, y, "#c00", 'stroke-dasharray="6 4"'),
                text(WIDTH - RIGHT + 6, y + 4, bar[1], "start", 11, "#c00")]
    for i, (name, curve) in enumerate(series.items()):
        colour = COLOURS[i % len(COLOURS)]
        path_points = [at(x, curve[x][0]) for x in sorted(curve)]
        for x in sorted(curve):
            out.append(line(*at(x, curve[x][1]), *at(x, curve[x][2]), colour, 'opacity="0.5"'))
        out.append('<polyline fill="none" stroke-width="2" stroke="%s" points="%s"/>' % (
            colour, " ".join(f"{x:.1f},{y:.1f}" for x, y in path_points)))
        out += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in path_points]
        y = TOP + 16 + 18 * i
        out += [line(WIDTH - RIGHT + 60, y - 4, WIDTH - RIGHT + 80, y - 4, colour, 'stroke-width="3"'),
                text(WIDTH - RIGHT + 86, y, name, "start", 11)]
    save(path, out)


def bars(path, title, unit, values, limit=None):
    """values: {name: value}; limit: a line not to be crossed."""
    high = max(list(values.values()) + ([limit] if limit else [])) * 1.1 or 1
    out, left, step = frame(title, unit), 230, (HEIGHT - TOP - 20) / max(len(values), 1)
    for i, (name, value) in enumerate(values.items()):
        y, width = TOP + 10 + i * step, (WIDTH - left - 90) * value / high
        out += [text(left - 8, y + step * 0.5, name, "end", 11),
                f'<rect x="{left}" y="{y:.1f}" width="{width:.1f}" height="{step * 0.7:.1f}" '
                f'fill="{COLOURS[0]}"/>', text(left + width + 6, y + step * 0.5, number(value), "start", 11)]
    if limit:
        x = left + (WIDTH - left - 90) * limit / high
        out += [line(x, TOP, x, HEIGHT - 14, "#c00", 'stroke-dasharray="6 4"'),
                text(x, HEIGHT - 2, f"at most {number(limit)}", size=11, fill="#c00")]
    save(path, out)


def save(path, out):
    with open(path, "w", encoding="utf-8") as f:
        f.write("\n".join(out + ["</svg>", ""]))
