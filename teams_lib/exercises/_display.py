"""What the learner sees: each object has a text form and an HTML form that reads in the light and the dark theme."""

import html
import re
from dataclasses import dataclass
from typing import Literal

Status = Literal["not attempted", "not yet", "solved"]

# JupyterLab's own variables follow its theme. Elsewhere they are unknown, and the fallbacks hold.
_COLOURS: dict[Status, str] = {
    "not attempted": "var(--jp-border-color1, #9e9e9e)",
    "not yet": "var(--jp-warn-color1, #ef6c00)",
    "solved": "var(--jp-success-color1, #388e3c)",
}


def _box(head: str, body: str, colour: str) -> str:
    style = f"border-left: 4px solid {colour}; padding: 0.2em 0.8em; color: var(--jp-ui-font-color1, inherit)"
    return f'<div style="{style}"><b>{html.escape(head)}</b>{body}</div>'


def _prose(text: str) -> str:
    """Escaped text in which `backticks` mark code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(text))


@dataclass(frozen=True)
class Result:
    """What `check` found."""

    exercise: str
    """The exercise's id, such as "05.2"."""
    status: Status
    message: str = ""
    """What to know next; empty for an exercise that is not attempted."""

    def _head(self) -> str:
        return f"{self.exercise} · {'not attempted yet' if self.status == 'not attempted' else self.status}"

    def __repr__(self) -> str:
        return f"{self._head()}: {self.message}" if self.message else self._head()

    def _repr_html_(self) -> str:
        body = f"<br>{_prose(self.message)}" if self.message else ""
        return _box(self._head(), body, _COLOURS[self.status])


@dataclass(frozen=True)
class Note:
    """A heading, some text, and perhaps code: what `hint`, `solution` and `progress` return."""

    head: str
    text: str = ""
    code: str = ""

    def __repr__(self) -> str:
        return "\n\n".join(part for part in (self.head, self.code, self.text) if part)

    def _repr_html_(self) -> str:
        code = f"<pre><code>{html.escape(self.code)}</code></pre>" if self.code else ""
        text = f'<div style="white-space: pre-wrap">{_prose(self.text)}</div>' if self.text else ""
        return _box(self.head, code + text, "var(--jp-brand-color1, #1976d2)")
