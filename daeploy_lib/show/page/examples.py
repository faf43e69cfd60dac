"""Exchanges that differ, grouped by what differs, folded until they are asked for."""

from itertools import groupby

from daeploy_lib.evidence.examples import Example
from daeploy_lib.evidence.redaction import Body
from daeploy_lib.evidence.summary import ShadowSummary
from daeploy_lib.show.amounts import NOTHING, moment
from daeploy_lib.show.markup import Markup, element, joined, lines
from daeploy_lib.show.page.tables import code, table

# Of shapes; each has three examples at most.
_SHAPES = 40
_NAMED = 4
_HEAD = ("Field", "Kind", "Main", "Shadow")
_BODY = 4096
_COMMAND = 16384


def examples(shadow: ShadowSummary, base_url: str) -> Markup:
    """Return the examples of a shadow."""
    if not shadow.examples:
        return joined()
    by_shape = sorted(shadow.examples, key=lambda e: e.fingerprint)
    groups = [list(g) for _, g in groupby(by_shape, lambda e: e.fingerprint)]
    groups.sort(key=lambda group: _frequency(shadow, group[0]), reverse=True)
    more = len(groups) - _SHAPES
    return joined(
        element("h3", "Examples"),
        *(_group(group, base_url) for group in groups[:_SHAPES]),
        element("p", f"{more:,} more kinds are not shown.", class_="note")
        if more > 0
        else joined(),
    )


def _frequency(shadow: ShadowSummary, example: Example) -> int:
    return shadow.totals.differences.shapes["\n".join(example.entries)]


def _group(group: list[Example], base_url: str) -> Markup:
    entries = group[0].entries
    words: list[str | Markup] = [_entry(entry) for entry in entries[:_NAMED]]
    if len(entries) > _NAMED:
        words.append(f"{len(entries) - _NAMED} more")
    named: list[str | Markup] = []
    for word in words:
        named += [word, ", "]
    count = f"{len(group)} example{'s' if len(group) > 1 else ''}"
    return element(
        "details",
        element("summary", *named[:-1], " ", element("span", count, class_="soft")),
        *(_example(one, base_url) for one in group),
    )


def _entry(entry: str) -> Markup:
    kind, _, path = entry.partition(" ")
    return code(path) if kind in ("value", path) else joined(code(path), f" {kind}")


def _example(one: Example, base_url: str) -> Markup:
    target = one.path + (f"?{one.query}" if one.query else "")
    found = [
        (
            code(d.path),
            str(d.kind),
            _value(d.main),
            _value(d.shadow),
        )
        for d in one.differences
    ]
    return element(
        "details",
        element(
            "summary",
            code(f"{one.method} {target}"),
            " ",
            element("span", moment(one.at), class_="soft"),
        ),
        element(
            "div",
            table(_HEAD, found, columns=("path", None, "value", "value")),
            element(
                "div",
                _body(f"Main answered {one.main_status}", one.main_body),
                _body(f"The shadow answered {one.shadow_status}", one.shadow_body),
                class_="pair",
            ),
            _body("Request body", one.body) if one.body.length else joined(),
            _command(one, base_url),
            class_="inside",
        ),
    )


def _value(value: str | None) -> Markup:
    return element("span", NOTHING, class_="soft") if value is None else code(value)


def _body(title: str, body: Body) -> Markup:
    words = f"{title}, redacted" if body.is_redacted else title
    label = element("p", words, class_="label")
    if body.text is None:
        kept = f"{body.length:,} bytes, not kept; digest {body.digest}"
        return element("div", label, element("p", kept, class_="note"))
    if not body.length:
        return element("div", label, element("p", "Empty.", class_="note"))
    return element("div", label, element("pre", lines(body.text, _BODY)))


def _command(one: Example, base_url: str) -> Markup:
    text = one.curl(base_url)
    title = "Ask again"
    if len(text) > _COMMAND or not text.replace("\n", "").isprintable():
        title += ", cut or with escapes: Example.curl() has it as it is"
    return element(
        "div",
        element("p", title, class_="label"),
        element("pre", lines(text, _COMMAND)),
    )
