# syntax=docker/dockerfile:1
FROM python:3.13-slim AS build
WORKDIR /build
COPY requirements.txt ./
RUN python -m venv /app/venv \
 && /app/venv/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements.txt
COPY pyproject.toml README.md LICENSE ./
COPY updater ./updater
# The build backend is among the requirements above: nothing is downloaded here.
RUN /app/venv/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps --no-build-isolation --no-index . \
 && /app/venv/bin/python -m compileall -q /app/venv/lib \
 && /app/venv/bin/pip uninstall --yes --quiet pip setuptools

FROM python:3.13-slim
LABEL org.opencontainers.image.title="updater" \
      org.opencontainers.image.description="Keeps the container images of Argo CD Applications up to date" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /app/venv /app/venv
# Only the state volume is ever written to, so the root file system can be read-only.
RUN mkdir -p /app/config /var/lib/updater && chown 1000:1000 /var/lib/updater
ENV PATH=/app/venv/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
VOLUME /var/lib/updater
USER 1000:1000
ENTRYPOINT ["updater"]
CMD ["run"]
