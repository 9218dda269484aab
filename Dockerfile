# Cardinal in one image; the command is a role: migrate, api, projector, worker, deliverer, archiver or scheduler.

FROM python:3.12-slim AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /build
RUN python -m venv /opt/cardinal
COPY requirements.txt ./
RUN /opt/cardinal/bin/pip install --require-hashes --requirement requirements.txt
COPY pyproject.toml README.md ./
COPY domain domain
COPY application application
COPY infrastructure infrastructure
COPY projections projections
COPY api api
RUN /opt/cardinal/bin/pip install --no-deps --no-build-isolation .

FROM python:3.12-slim
RUN groupadd --gid 10001 cardinal \
    && useradd --uid 10001 --gid cardinal --no-create-home --home-dir /var/lib/cardinal --shell /usr/sbin/nologin cardinal \
    && install --directory --owner=cardinal --group=cardinal --mode=0700 /var/lib/cardinal \
        /var/lib/cardinal-seals /var/lib/cardinal-seal-keys /var/lib/cardinal-backups
COPY --from=build /opt/cardinal /opt/cardinal
ENV PATH=/opt/cardinal/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    CARDINAL_ENV=production \
    CARDINAL_HOME=/var/lib/cardinal \
    CARDINAL_HOST=0.0.0.0
WORKDIR /var/lib/cardinal
USER 10001:10001
EXPOSE 8000
STOPSIGNAL SIGTERM
ENTRYPOINT ["cardinal"]
CMD ["api"]
