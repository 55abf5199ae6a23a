# syntax=docker/dockerfile:1

# Node, CA certificates, and no shell. Another image must have Node 24 or later at /nodejs/bin/node.
ARG RUNTIME_IMAGE=gcr.io/distroless/nodejs24-debian12:nonroot

# JavaScript is the same everywhere: built once, for every platform.
FROM --platform=$BUILDPLATFORM node:24 AS build
WORKDIR /src
COPY package.json package-lock.json .npmrc ./
RUN npm ci
COPY tsconfig.json rolldown.config.ts ./
COPY src ./src
COPY simulator ./simulator
RUN npm run build

FROM ${RUNTIME_IMAGE}
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="enos-credential-operator" \
      org.opencontainers.image.description="Keeps EnOS access tokens fresh in Kubernetes Secrets." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
ENV NODE_ENV=production
# One file, without the simulator. Named .mjs, for there is no package.json beside it to say that it is a module.
COPY --from=build /src/dist/main.js /app/main.mjs
# By number (it is `nonroot`): the kubelet cannot tell from a name that it is not root.
USER 65532:65532
EXPOSE 8080 8081
# The flags of `npm start` in package.json: a small young generation keeps memory low.
ENTRYPOINT ["/nodejs/bin/node", "--max-semi-space-size=4", "/app/main.mjs"]
CMD ["run"]
