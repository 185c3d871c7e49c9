# The image of everything that is ours: the command line, the server, the workers. Made by `docker compose build`.
FROM python:3.11.15-slim-trixie AS build

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /build
COPY requirements/runtime.txt requirements/runtime.txt
RUN python -m venv /opt/dora-state \
    && /opt/dora-state/bin/python -m pip install --no-deps --require-hashes -r requirements/runtime.txt
COPY pyproject.toml README.md LICENSE ./
COPY domain domain
COPY commands commands
COPY projections projections
COPY infrastructure infrastructure
COPY dora_state dora_state
# Without isolation: nothing is fetched that has no hash in the lock.
RUN /opt/dora-state/bin/python -m pip install --no-deps --no-build-isolation . \
    && /opt/dora-state/bin/dora-state --version

FROM python:3.11.15-slim-trixie

RUN groupadd --gid 10001 dora-state \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/dora-state --shell /usr/sbin/nologin dora-state \
    && install --directory --owner 10001 --group 10001 --mode 0750 /var/lib/dora-state
COPY --from=build /opt/dora-state /opt/dora-state
ENV PATH=/opt/dora-state/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    DORA_STATE_HOME=/var/lib/dora-state
USER 10001:10001
WORKDIR /var/lib/dora-state
ENTRYPOINT ["dora-state"]
CMD ["--help"]
