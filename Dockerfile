# syntax=docker/dockerfile:1
FROM python:3.13-slim AS build
WORKDIR /build
COPY requirements.txt ./
RUN python -m venv /app/venv \
 && /app/venv/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements.txt
COPY pyproject.toml README.md LICENSE ./
COPY updater ./updater
# The build backend is among the requirements above: nothing is downloaded here. Bytecode comes with the image, because a
# read-only root cannot keep it, and without it each start would compile for seconds.
RUN /app/venv/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps --no-build-isolation --no-index . \
 && /app/venv/bin/pip uninstall --yes --quiet setuptools pip \
 && find /app/venv -type d -name tests -prune -exec rm -r {} + \
 && python -m compileall -q /app/venv/lib

FROM python:3.13-slim
LABEL org.opencontainers.image.title="updater" \
      org.opencontainers.image.description="Keeps the container images of Argo CD Applications up to date" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /app/venv /app/venv
# Only the state volume and /tmp are ever written to, so the root file system can be read-only. The two links are the
# programs that manifests of Argo CD Image Updater start.
RUN mkdir -p /app/config /var/lib/updater \
 && chown 1000:1000 /var/lib/updater \
 && ln -s /app/venv/bin/updater /manager \
 && ln -s /app/venv/bin/updater /usr/local/bin/argocd-image-updater
ENV PATH=/app/venv/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
VOLUME /var/lib/updater
USER 1000:1000
ENTRYPOINT ["updater"]
CMD ["run"]
