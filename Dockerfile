# scripts/image builds it, and with --test runs it as ECS would; ecs/README.md says how it is meant to be run.
# A release names the base by its digest: --build-arg BASE=python:3.13-slim-trixie@sha256:…
ARG BASE=python:3.13-slim-trixie

# ---- the virtual environment: wheels that the locks name, and this project as one more -------------------------------
FROM ${BASE} AS builder
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_NO_COMPILE=1 \
    PIP_ONLY_BINARY=:all: \
    PIP_ROOT_USER_ACTION=ignore
WORKDIR /build
# The models that moderate and write captions here take 580 MB. Where the recipe asks Rekognition and Transcribe, or nobody:
# --build-arg LOCK=requirements.lock
ARG LOCK=requirements-local.lock
COPY requirements.lock requirements-local.lock requirements-build.lock ./
RUN python -m venv --without-pip /opt/media-worker \
    && python -m venv --without-pip /opt/build \
    && pip --python /opt/media-worker/bin/python install --require-hashes --requirement "${LOCK}" \
    && pip --python /opt/build/bin/python install --require-hashes --requirement requirements-build.lock
COPY pyproject.toml README.md LICENSE ./
COPY service service
RUN pip --python /opt/build/bin/python wheel --no-deps --no-build-isolation --wheel-dir dist . \
    && pip --python /opt/media-worker/bin/python install --no-deps --no-index dist/*.whl \
    && pip --python /opt/media-worker/bin/python check \
    && python -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/media-worker/lib

# ---- what runs -------------------------------------------------------------------------------------------------------
FROM ${BASE}
# Debian's ffmpeg depends, by way of a window to play in, on Mesa's drivers and the compilers behind them: 200 MB that
# nothing here is linked to and that would be opened only to draw on a screen. dpkg leaves these files out, at later
# upgrades too; their packages stay known to apt and to scanners. Were ffmpeg linked to one, the last line would fail.
# A program that its user may start but not read is not dumpable (execve(2)): so no decoder can look into another one,
# even where the kernel has no Landlock.
RUN printf 'path-exclude=/usr/lib/*/%s\n' 'libLLVM*' 'libgallium*' 'libz3.so*' >/etc/dpkg/dpkg.cfg.d/no-screen \
    && apt-get update -q \
    && DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends ffmpeg libseccomp2 \
    && dpkg-statoverride --update --add root root 0711 /usr/bin/ffmpeg \
    && dpkg-statoverride --update --add root root 0711 /usr/bin/ffprobe \
    && apt-get clean \
    && rm -rf /var/lib/apt/lists/* \
    && ffmpeg -hide_banner -version && ffprobe -hide_banner -version
# The base image comes without the standard library's bytecode, and a read-only file system never gets it: every start,
# and every health check, would compile it anew. The folder for files at work is the only place that is written to.
RUN python -c 'import sysconfig; print(sysconfig.get_path("stdlib"))' \
        | xargs python -m compileall -q -j 0 --invalidation-mode unchecked-hash \
            -x '/(site-packages|dist-packages|test|ensurepip|idlelib|lib2to3|pydoc_data|tkinter|turtledemo|unittest)/' \
    && install -d -o 10001 -g 10001 -m 0700 /scratch
COPY --from=builder /opt/media-worker /opt/media-worker

ENV PATH=/opt/media-worker/bin:/usr/local/bin:/usr/bin:/bin \
    HOME=/nonexistent \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    TMPDIR=/scratch \
    MEDIA_SCRATCH=/scratch
VOLUME /scratch
USER 10001:10001
STOPSIGNAL SIGTERM
# /healthz is 200 while the poll loop moves or every slot is busy. ECS asks only what its task definition says.
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-Ic", "import os, http.client as h; c = h.HTTPConnection('127.0.0.1', int(os.environ.get('MEDIA_HTTP_PORT') or 8080), timeout=4); c.request('GET', '/healthz'); raise SystemExit(c.getresponse().status != 200)"]
ENTRYPOINT ["media-worker"]
CMD ["run"]

ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="media-worker" \
    org.opencontainers.image.description="A file lands in S3; minutes later a website can show it: images, video and sound" \
    org.opencontainers.image.version="${VERSION}" \
    org.opencontainers.image.revision="${REVISION}" \
    org.opencontainers.image.base.name="docker.io/library/python:3.13-slim-trixie"
