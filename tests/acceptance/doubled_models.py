"""A double of the models on this machine: it takes what is red for explicit, what is blue still more so.

No picture that the real classifier flags is shipped. As the real ones, this runs in children of the zygote.
"""

from PIL import Image, ImageStat

Image.init()


def score(request: dict[str, object]) -> dict[str, object]:
    """How explicit the JPEG `file` of the working directory is: 0.7 of red, 0.95 of blue."""
    with Image.open(str(request["file"]), formats=["JPEG"]) as picture:
        red, green, blue = ImageStat.Stat(picture.convert("RGB")).mean
    if red > 2 * max(green, blue):
        return {"explicit": 0.7}
    return {"explicit": 0.95 if blue > 2 * max(red, green) else 0.01}
