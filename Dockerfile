# The image of connect-idp, for amd64 and arm64: docs/operations/image.md.
#   docker build --tag connect-idp .
ARG RUST=1.95.0
ARG DEBIAN=trixie

FROM rust:${RUST}-slim-${DEBIAN} AS build
ARG RUST
# hadolint ignore=DL3008 # the newest of the distribution is what is wanted
RUN apt-get update && apt-get install --yes --no-install-recommends libssl-dev pkg-config && rm -rf /var/lib/apt/lists/*
# OpenSSL comes from the distribution, which mends it, and not from the crate `openssl-src`: OPENSSL_NO_VENDOR wins over the
# feature `vendored` in Cargo.toml. The toolchain is the image's own, whatever rust-toolchain.toml says.
ENV OPENSSL_NO_VENDOR=1 \
    RUSTUP_TOOLCHAIN=${RUST}
WORKDIR /src
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
COPY . .
RUN cargo build --locked --release --bin connect-idp \
    && ldd target/release/connect-idp | grep libssl.so.3

FROM debian:${DEBIAN}-slim
# `openssl` brings the distribution's libssl.so.3 under whatever name the package has there.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates openssl \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 10001 connect-idp \
    && useradd --uid 10001 --gid 10001 --home-dir /var/lib/connect-idp --no-create-home --shell /usr/sbin/nologin connect-idp \
    && install --directory --owner 10001 --group 10001 --mode 700 /var/lib/connect-idp
COPY --from=build /src/target/release/connect-idp /usr/local/bin/connect-idp
COPY deploy/healthcheck /usr/local/bin/healthcheck
COPY deploy/image.toml /etc/connect-idp/connect.toml
ENV CONNECT_IDP_CONFIG=/etc/connect-idp/connect.toml
# By number, so that a cluster sees that it is not root. Nothing but /var/lib/connect-idp is written to, and that on SQLite alone.
USER 10001:10001
WORKDIR /var/lib/connect-idp
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=12s --start-period=30s --retries=3 CMD ["/usr/local/bin/healthcheck"]
ENTRYPOINT ["/usr/local/bin/connect-idp"]
CMD ["serve"]
LABEL org.opencontainers.image.title="connect-idp" \
      org.opencontainers.image.description="The sign-in service of Therap Connect" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0"
