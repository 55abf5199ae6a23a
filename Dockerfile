# syntax=docker/dockerfile:1

# Node, CA certificates, and no shell. Another image must have Node 24.6 or later at /nodejs/bin/node.
ARG RUNTIME_IMAGE=gcr.io/distroless/nodejs24-debian12:nonroot

# JavaScript is the same everywhere: built once, for every platform.
FROM --platform=$BUILDPLATFORM node:24 AS build
WORKDIR /src
COPY package.json package-lock.json .npmrc ./
RUN npm ci
COPY LICENSE ./
COPY tsconfig.json rolldown.config.ts ./
COPY tools ./tools
COPY src ./src
COPY simulator ./simulator
RUN npm run build

FROM ${RUNTIME_IMAGE}
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="enos-credential-operator" \
      org.opencontainers.image.description="Keeps EnOS access tokens fresh in Kubernetes Secrets." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.source="https://example.com/enos-credential-operator" \
      org.opencontainers.image.url="https://example.com/enos-credential-operator" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
ENV NODE_ENV=production
# Launcher and operator, without the simulator. Named .mjs, for there is no package.json beside them that says `module`.
COPY --from=build /src/dist/main.js /app/main.mjs
COPY --from=build /src/dist/operator.mjs /app/operator.mjs
# Read only with NODE_OPTIONS=--enable-source-maps.
COPY --from=build /src/dist/operator.mjs.map /app/operator.mjs.map
# What is in it, for scanners.
COPY --from=build /src/dist/sbom.cdx.json /app/sbom.cdx.json
# Of all that is in it, as these licences ask.
COPY --from=build /src/dist/licenses.txt /app/licenses.txt
# By number (it is `nonroot`): the kubelet cannot tell from a name that it is not root.
USER 65532:65532
EXPOSE 8080 8081
# The launcher sets the flags of V8, by the container's limit: src/runtime-flags.ts.
ENTRYPOINT ["/nodejs/bin/node", "/app/main.mjs"]
CMD ["run"]
