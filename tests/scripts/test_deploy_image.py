"""The image is built and pushed with whatever is there, once for a commit; nothing secret is on a command line."""

import base64

import pytest
from botocore.stub import Stubber

from scripts.deployment import image
from scripts.deployment.account import Account
from scripts.deployment.errors import Trouble
from scripts.deployment.image import Source, Wanted

DIGEST = f"sha256:{'d' * 64}"
URI = "111122223333.dkr.ecr.eu-central-1.amazonaws.com/media-prod"
WANTED = Wanted(source=Source(commit="0123456789abcdef", clean=True), architecture="X86_64", local=True, version="1.2")
TAG = "0123456789ab-x86_64"
BUILDER = """#!/bin/sh
echo "$@" >>{calls}
case $1 in
  login) /bin/cat >{password} ;;
  push) [ "$2" != --digestfile ] || echo {digest} >"$3" ;;
esac
"""


@pytest.fixture
def ecr():
    """ECR's answers, in order."""
    client = Account(id="111122223333", region="eu-central-1", partition="aws").client("ecr")
    with Stubber(client) as stubber:
        yield client, stubber
        stubber.assert_no_pending_responses()


@pytest.fixture
def builder(tmp_path, monkeypatch):
    """A buildah, and nothing else, that writes down how it is called."""
    folder = tmp_path / "bin"
    folder.mkdir()
    script = folder / "buildah"
    script.write_text(BUILDER.format(calls=tmp_path / "calls", password=tmp_path / "password", digest=DIGEST))
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))
    for name in ("BUILDAH_ISOLATION", "STORAGE_DRIVER"):
        monkeypatch.setenv(name, "given")
    return tmp_path


def request(tag: str) -> dict:
    """What is asked of the repository."""
    return {"repositoryName": "media-prod", "imageIds": [{"imageTag": tag}]}


def test_built_pushed_and_called_by_its_digest(ecr, builder):
    """With ECR's token, which goes to standard input."""
    client, stubber = ecr
    stubber.add_client_error("describe_images", "ImageNotFoundException", expected_params=request(TAG))
    token = base64.b64encode(b"AWS:secret").decode()
    stubber.add_response("get_authorization_token", {"authorizationData": [{"authorizationToken": token}]}, {})
    said: list[str] = []
    assert image.build_and_push(client, URI, WANTED, tell=said.append) == f"{URI}@{DIGEST}"
    words = [line.split()[0] for line in (builder / "calls").read_text().splitlines()]
    assert list(dict.fromkeys(words)) == ["info", "bud", "login", "push"]
    assert "secret" not in (builder / "calls").read_text()
    assert (builder / "password").read_text() == "secret"
    assert said == [f"building {URI}:{TAG} with buildah"]


def test_a_commit_that_is_pushed_is_not_built_again(ecr, builder):
    """Its tag can't be moved, so it is that image."""
    client, stubber = ecr
    stubber.add_response("describe_images", {"imageDetails": [{"imageDigest": DIGEST}]}, request(TAG))
    assert image.build_and_push(client, URI, WANTED, tell=print) == f"{URI}@{DIGEST}"
    assert not (builder / "calls").exists()


def test_a_build_that_fails_deploys_nothing(ecr, builder):
    """Says which command it was."""
    (builder / "bin" / "buildah").write_text("#!/bin/sh\n[ $1 = info ]\n")
    client, stubber = ecr
    stubber.add_client_error("describe_images", "ImageNotFoundException", expected_params=request(TAG))
    with pytest.raises(Trouble, match="buildah build failed"):
        image.build_and_push(client, URI, WANTED, tell=print)


def test_nothing_here_builds(monkeypatch, tmp_path):
    """Names what would, and the way without."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Trouble, match="--image"):
        image.engine()


def test_an_image_that_expired_is_no_release_to_go_back_to(ecr):
    """The repository keeps three; an image from elsewhere is not looked for."""
    client, stubber = ecr
    asked = {"repositoryName": "media-prod", "imageIds": [{"imageDigest": DIGEST}]}
    stubber.add_client_error("describe_images", "ImageNotFoundException", expected_params=asked)
    with pytest.raises(Trouble, match="keeps three images"):
        image.require(client, URI, [f"elsewhere@{DIGEST}", f"{URI}@{DIGEST}"])
