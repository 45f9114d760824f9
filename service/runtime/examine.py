"""What an upload is, before anything is made of it."""

from dataclasses import dataclass
from pathlib import Path

from service import metrics
from service.core import command, sniff
from service.core.media import Clip, Media, Picture
from service.core.recipe import Limits
from service.runtime.tools import Films, Pictures


@dataclass(frozen=True, kw_only=True)
class Examiner:
    """Looks at the file `command.SOURCE` of a scratch folder."""

    pictures: Pictures
    films: Films

    async def examine(self, folder: Path, size: int, limits: Limits) -> Media:
        """Say what the upload is: by its first bytes, then by its headers and packet times.

        :raises Rejected: for everything that is not media within the limits.
        """
        with metrics.stage_seconds.labels("examine").time():
            match sniff.sniff(_head(folder / command.SOURCE)):
                case sniff.PictureFile(formats=formats):
                    return await self.pictures.inspect(folder, formats, limits)
                case sniff.StreamFile() as sniffed:
                    return await self.films.probe(folder, sniffed, size, limits)

    async def decode(self, media: Media, folder: Path, limits: Limits) -> None:
        """Read the upload to its end and keep nothing.

        :raises Rejected: for what can't be decoded.
        """
        match media:
            case Picture(formats=formats):
                await self.pictures.draw(
                    folder, command.SOURCE, [], formats=formats, background="#ffffff", limits=limits
                )
            case Clip():
                argv = command.decode(media, limits)
                await self.films.run(folder, argv, seconds=media.seconds, on_share=lambda _share: None)


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(sniff.HEAD_BYTES)
