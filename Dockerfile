# The program in an image: for container/action.yml, and for any CI that runs images. `make image-test` builds and tries it.
ARG BASE=python:3.12-slim-bookworm

FROM ${BASE} AS build
WORKDIR /build
COPY requirements/ requirements/
COPY actions/internal/setup/ actions/internal/setup/
COPY src/accel_ci/ src/accel_ci/
# The set-up of every job, with the libraries of every backend and service; each is held to its hash.
RUN RUNNER_TEMP=/opt actions/internal/setup/setup.sh github tpu gce secrets doctor \
    && python3 -m compileall -q /opt/accel-ci/program \
    && chmod -R a+rX /opt/accel-ci
COPY container/entrypoint.py /opt/accel-ci/action/run
COPY container/entrypoint.py /opt/accel-ci/action/cleanup
RUN chmod -R a+rX,a-w /opt/accel-ci/action && chmod a+x /opt/accel-ci/action/*

FROM ${BASE}
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates git openssh-client \
    && rm -rf /var/lib/apt/lists/*
# 1001 is the user of GitHub's own runners, whose files the action writes. Docker's socket, which the runner mounts, is not his.
RUN useradd --uid 1001 --user-group --create-home accel-ci
COPY --from=build /opt/accel-ci /opt/accel-ci
ENV PATH=/opt/accel-ci/bin:$PATH
USER 1001:1001
WORKDIR /tmp
ENTRYPOINT ["/opt/accel-ci/bin/accel-ci"]
