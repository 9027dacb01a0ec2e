# syntax=docker/dockerfile:1
FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=
# A static binary, and a data directory that the unprivileged user of the image owns.
RUN CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags "-s -w -X main.version=${VERSION}" -o /out/pollbridge ./cmd/pollbridge \
 && mkdir -p /out/data /out/tmp

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /out/pollbridge /pollbridge
COPY --from=build --chown=65532:65532 /out/data /data
COPY --from=build --chown=65532:65532 /out/tmp /tmp
USER 65532:65532
# Probes and scrapers are outside the container, so they have to reach this listener.
# All of it but the probes then needs a key: set POLLBRIDGE_ADMIN_KEY, or take the one
# that is made at the first start, /data/admin.key.
ENV POLLBRIDGE_ADMIN_LISTEN=:8090 \
    POLLBRIDGE_STORE_DIR=/data
VOLUME /data
EXPOSE 8080 8090
HEALTHCHECK --interval=10s --timeout=5s --start-period=5s CMD ["/pollbridge", "healthcheck"]
ENTRYPOINT ["/pollbridge"]
CMD ["serve"]
