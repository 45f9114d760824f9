"""The demo's page: what came of each upload, as HTML; no script, nothing from elsewhere."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from urllib.parse import quote

from service.core.manifest import FINAL, Manifest, Serving
from service.core.record import Product


@dataclass(frozen=True, kw_only=True)
class Upload:
    """One uploaded file: its key, where its manifest will be, and what that says so far."""

    key: str
    manifest_key: str
    manifest: Manifest | None = None

    @property
    def final(self) -> bool:
        """Whether the worker is done with it."""
        return self.manifest is not None and self.manifest.status in FINAL and not self.listening

    @property
    def listening(self) -> bool:
        """Whether it is shown already, but its captions are still to come."""
        serving = self.manifest.serving if self.manifest else None
        return self.status == "ready" and serving is not None and serving.captions == "pending"

    @property
    def status(self) -> str:
        """The manifest's status, or `waiting` before there is one."""
        return self.manifest.status.value if self.manifest else "waiting"


def render(uploads: Sequence[Upload]) -> str:
    """The whole page; it reloads itself until every upload is final."""
    waiting = not all(upload.final for upload in uploads)
    refresh = '<meta http-equiv="refresh" content="2">' if waiting else ""
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>media-worker: what came out</title>
<link rel="icon" href="data:,">
{refresh}<style>{_STYLE}</style>
</head>
<body>
<header><h1>media-worker</h1><p>{_summary(uploads)}</p></header>
<main>{"".join(_column(column) for column in _columns(uploads) if column)}</main>
</body>
</html>
"""


def size(count: int) -> str:
    """A number of bytes as people read it."""
    if count < 1000:
        return f"{count} B"
    return f"{count / 1000:.0f} kB" if count < 1_000_000 else f"{count / 1e6:.1f} MB"


def measures(serving: Serving) -> str:
    """What is known of a medium at a glance: `video, 1280 × 720, 12.0 s`."""
    parts = [str(serving.kind)]
    if serving.width and serving.height:
        parts.append(f"{serving.width} × {serving.height}")
    if serving.duration is not None:
        parts.append(f"{serving.duration:.1f} s")
    if said := _CAPTIONS.get(serving.captions):
        parts.append(said)
    return ", ".join(parts)


_CAPTIONS = {
    "pending": "captions to come",
    "machine": "captions by a machine",
    "uploaded": "captions",
    "unavailable": "captions could not be made",
}


def _summary(uploads: Sequence[Upload]) -> str:
    ready = sum(upload.status == "ready" for upload in uploads)
    files = "One file was" if len(uploads) == 1 else f"{len(uploads)} files were"
    return f"{files} dropped into a bucket. Ready to be shown: {'all' if ready == len(uploads) else ready}."


def _columns(uploads: Sequence[Upload]) -> tuple[list[Upload], list[Upload]]:
    """Each upload in the column that is shorter so far."""
    left: list[Upload] = []
    right: list[Upload] = []
    for upload in uploads:
        (left if _height(left) <= _height(right) else right).append(upload)
    return left, right


def _height(column: Sequence[Upload]) -> float:
    """Roughly, in widths of the column."""
    shown = [upload.manifest.serving for upload in column if upload.manifest and upload.manifest.serving]
    ratios = [serving.height / serving.width for serving in shown if serving.height and serving.width]
    return sum(ratios) + 0.5 * len(column)


def _column(uploads: Sequence[Upload]) -> str:
    return f'<div class="column">{"".join(_card(upload) for upload in uploads)}</div>'


def _card(upload: Upload) -> str:
    return f"""
<article>
<h2><span class="key">{escape(upload.key)}</span> <span class="status {upload.status}">{upload.status}</span></h2>
{_body(upload.manifest)}
{_fold("The manifest", _manifest(upload)) if upload.manifest else ""}
</article>"""


def _body(manifest: Manifest | None) -> str:
    if manifest is None:
        return '<p class="note">Not picked up yet.</p>'
    parts = []
    if manifest.reason:
        code, message = escape(manifest.reason.code), escape(manifest.reason.message)
        parts.append(f'<p class="note"><strong>{code}</strong>: {message}</p>')
    if manifest.status not in FINAL:
        parts.append(f'<progress max="100" value="{manifest.percent or 0}"></progress>')
    if manifest.serving:
        parts.append(_shown(manifest.serving, manifest.source.size))
    return "\n".join(parts)


def _shown(serving: Serving, uploaded: int | None) -> str:
    """The markup that the worker wrote, as a page would paste it; here the captions are shown unasked."""
    color = serving.placeholder.color if serving.placeholder else "transparent"
    total = size(sum(product.bytes for product in serving.products))
    facts = measures(serving) + (f"; uploaded as {size(uploaded)}" if uploaded else "")
    html = serving.html.replace("<track ", "<track default ", 1)
    return f"""<div class="media" style="background:{escape(color)}">{html}</div>
<p class="facts">{escape(facts)}</p>
{_fold(f"{len(serving.products)} products, {total}", _products(serving.products))}
{_fold("The markup to paste", f"<pre>{escape(serving.html)}</pre>")}"""


def _fold(title: str, inner: str) -> str:
    return f"<details><summary>{escape(title)}</summary>{inner}</details>"


def _products(products: Sequence[Product]) -> str:
    rows = "".join(
        f'<tr><td><a href="{escape(product.url)}">{escape(product.role)}</a></td>'
        f"<td>{escape(product.content_type)}</td>"
        f"<td>{f'{product.width} × {product.height}' if product.width else ''}</td>"
        f"<td>{f'{product.bandwidth / 1000:.0f} kbit/s' if product.bandwidth else ''}</td>"
        f"<td>{size(product.bytes)}</td></tr>"
        for product in products
    )
    return f'<div class="wide"><table>{rows}</table></div>'


def _manifest(upload: Upload) -> str:
    assert upload.manifest
    link = f'<p><a href="/{quote(upload.manifest_key, safe="/~")}">{escape(upload.manifest_key)}</a></p>'
    return f"{link}<pre>{escape(upload.manifest.model_dump_json(indent=2))}</pre>"


_STYLE = """
:root { color-scheme: light dark; --back: #f6f5f2; --card: #fff; --text: #23222a; --dim: #6d6a78; --line: #e4e1da;
  --link: #3b57c4; --good: #1c7a4a; --bad: #b3372f; --wait: #9a6a08; }
@media (prefers-color-scheme: dark) { :root { --back: #17161c; --card: #211f28; --text: #ece9f1; --dim: #a09bae;
  --line: #35323f; --link: #9db1ff; --good: #63c995; --bad: #f08a80; --wait: #e3b45c; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--back); color: var(--text); font: 16px/1.5 system-ui, sans-serif; }
header, main { max-width: 72rem; margin: 0 auto; padding: 0 1.25rem; }
header { padding-top: 2.5rem; }
h1 { font-size: 1.7rem; margin: 0; letter-spacing: -.01em; }
header p { margin: .25rem 0 1.75rem; color: var(--dim); }
main { display: grid; gap: 1.25rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr));
  padding-bottom: 4rem; }
.column { display: grid; gap: 1.25rem; align-content: start; min-width: 0; }
article { background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: 1.1rem 1.25rem;
  min-width: 0; }
h2 { display: flex; justify-content: space-between; align-items: baseline; gap: 1rem; margin: 0 0 .8rem;
  font-size: 1rem; }
.key { overflow-wrap: anywhere; }
.status { flex: none; font-size: .75rem; padding: .1rem .6rem; border-radius: 99px; border: 1px solid currentColor;
  color: var(--wait); }
.ready { color: var(--good); }
.rejected, .failed, .quarantined { color: var(--bad); }
.media { border-radius: 8px; overflow: hidden; }
.media:has(audio) { background: none !important; border-radius: 0; }
.media img, .media video { display: block; width: 100%; height: auto; }
.media audio { display: block; width: 100%; }
.facts, .note { margin: .7rem 0; color: var(--dim); font-size: .9rem; }
progress { width: 100%; accent-color: var(--wait); }
details { border-top: 1px solid var(--line); font-size: .9rem; }
summary { cursor: pointer; padding: .5rem 0; color: var(--dim); }
details[open] { padding-bottom: .8rem; }
details p { margin: 0 0 .5rem; overflow-wrap: anywhere; }
pre { margin: 0; padding: .8rem; max-height: 24rem; overflow: auto; background: var(--back); border-radius: 8px;
  font: 12px/1.5 ui-monospace, monospace; white-space: pre-wrap; overflow-wrap: anywhere; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .85rem; font-variant-numeric: tabular-nums; }
td { padding: .2rem .7rem .2rem 0; white-space: nowrap; border-bottom: 1px solid var(--line); }
td:last-child { text-align: right; padding-right: 0; }
a { color: var(--link); }
"""
