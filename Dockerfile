# One image; the command decides what a container is: `dicom-bridge serve` (all of it), `python -m scp`,
# `python -m dicomweb` or `dicom-bridge worker`. tests/system/dockerfile.py runs these very steps without a container engine.

FROM python:3.11-slim AS build
RUN python -m venv /opt/bridge
COPY requirements.lock /build/
RUN /opt/bridge/bin/pip install --no-cache-dir --require-hashes --requirement /build/requirements.lock
COPY pyproject.toml README.md /build/
COPY storage /build/storage
COPY bridge /build/bridge
COPY scp /build/scp
COPY dicomweb /build/dicomweb
RUN /opt/bridge/bin/pip install --no-cache-dir --no-deps --no-build-isolation /build

FROM python:3.11-slim
# a font for names in Han, Kana and Hangul, for what is written into pictures
RUN apt-get update && apt-get install --yes --no-install-recommends fonts-wqy-microhei && rm -rf /var/lib/apt/lists/*
RUN useradd --uid 10001 --no-log-init --home-dir /data --shell /usr/sbin/nologin bridge \
    && install --directory --owner bridge --group bridge --mode 0750 /data
COPY --from=build /opt/bridge /opt/bridge
ENV PATH=/opt/bridge/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONUNBUFFERED=1 \
    BRIDGE_STORAGE_DIRECTORY=/data \
    BRIDGE_DIMSE_HOST=0.0.0.0 \
    BRIDGE_HTTP_HOST=0.0.0.0
USER bridge
WORKDIR /data
VOLUME /data
EXPOSE 11112 8080
HEALTHCHECK --interval=15s --timeout=5s --start-period=20s \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8080/health', timeout=4)"]
CMD ["dicom-bridge", "serve"]
