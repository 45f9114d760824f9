"""What lies beside an upload and is said of it: captions and a poster, and the language it is in."""

from service.core import captions, plan, sidecar
from service.core.covers import Uploaded
from service.core.media import Clip, Media
from service.core.plan import Beside
from service.core.step import Subtitles
from service.runtime.ports import Head, Uploads


async def look(uploads: Uploads, head: Head, media: Media) -> Beside:
    """Of a clip, the language that its metadata declares, one file of captions for each language, and a poster.

    Captions are in the order of their languages; of several posters the first by its key counts.
    """
    if not isinstance(media, Clip):
        return plan.NOTHING_BESIDE
    found = await uploads.beside(head.bucket, head.key)
    tagged = {sidecar.language(one.key, head.key): one for one in reversed(found)}  # the first one of each language
    subtitles = [Subtitles(key=one.key, etag=one.etag, language=tag) for tag, one in tagged.items() if tag]
    subtitles.sort(key=lambda one: one.language)
    posters = [Uploaded(key=one.key, etag=one.etag) for one in found if sidecar.pictured(one.key) == head.key]
    return Beside(
        language=captions.language_tag(head.language or ""),
        subtitles=tuple(subtitles),
        poster=min(posters, key=lambda one: one.key, default=None),
    )
