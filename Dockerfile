# The static executable and nothing else. For amd64 and arm64: each is built on its own kind of machine, or emulated.
#
#   docker build -t doorward .

FROM docker.io/library/rust:1-bookworm AS build
WORKDIR /build
COPY Cargo.toml Cargo.lock ./
COPY src src
COPY assets assets
# Cargo wants to see the file of the test target, which is not built here.
RUN mkdir -p tests/it && touch tests/it/main.rs
# With a named target, what runs during the build (macros) is linked in the usual way; only the executable is static.
RUN target=$(rustc -vV | sed -n 's/^host: //p') \
 && RUSTFLAGS="-C target-feature=+crt-static" cargo build --release --locked --target "$target" \
 && mkdir -p /image/data \
 && cp "target/$target/release/doorward" /image/doorward

FROM scratch
COPY --from=build /image/doorward /doorward
# A volume begins with the owner that its folder has here.
COPY --from=build --chown=65532:65532 /image/data /data
# Nobody in particular, by number: there is no /etc/passwd to look a name up in.
USER 65532:65532
# config.toml is read here, and doorward.db is kept here.
WORKDIR /data
VOLUME /data
# Inside a container "localhost" is the container; who may reach the port is decided where it is published.
ENV DOORWARD_SERVER__LISTEN=0.0.0.0:3000
EXPOSE 3000
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s CMD ["/doorward", "healthcheck"]
ENTRYPOINT ["/doorward"]
