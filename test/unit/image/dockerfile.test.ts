import { describe, expect, it } from 'vitest'
import { parseLastStage } from '../../../image/dockerfile.ts'

const dockerfile = `
FROM node AS build
ENV FROM_BUILD=1
RUN make
FROM base
ARG VERSION=0.0.1
ARG REVISION=unknown
LABEL title="A title, in words" \\
      version="\${VERSION}" revision=$REVISION
ENV A=1 B="two words"
# A comment.
COPY --from=build /src/dist/main.js /app/main.mjs
USER 65532:65532
EXPOSE 8080 53/udp
ENTRYPOINT ["/node", "--flag=1", "/app/main.mjs"]
CMD ["run"]
`

describe('parseLastStage', () => {
  it('reads every instruction of the last stage, and none of another', () => {
    expect(parseLastStage(dockerfile, { VERSION: '1.2.3' })).toEqual({
      labels: { title: 'A title, in words', version: '1.2.3', revision: 'unknown' },
      env: { A: '1', B: 'two words' },
      user: '65532:65532',
      exposedPorts: ['8080/tcp', '53/udp'],
      entrypoint: ['/node', '--flag=1', '/app/main.mjs'],
      cmd: ['run'],
      copies: [{ from: '/src/dist/main.js', to: '/app/main.mjs' }],
    })
  })

  it.each([
    ['RUN true', 'the last stage has RUN, which image/dockerfile.ts cannot carry out'],
    ['COPY main.js /app/main.mjs', 'COPY in the last stage is expected as `COPY --from=build FILE FILE`'],
    ['ENTRYPOINT /node main.mjs', 'ENTRYPOINT is expected as a JSON array, for there is no shell'],
  ])('refuses %s', (instruction, message) => {
    expect(() => parseLastStage(`FROM base\n${instruction}\n`)).toThrow(`Dockerfile: ${message}`)
  })
})
