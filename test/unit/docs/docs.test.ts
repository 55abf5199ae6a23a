import { access, readdir, readFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import GithubSlugger from 'github-slugger'
import { describe, expect, it } from 'vitest'
import { imageName } from '../../../tools/published.ts'
import { parseShellBlocks } from '../../integration/shell-blocks.ts'
import { runToEnd } from '../../support/run.ts'

const root = fileURLToPath(new URL('../../..', import.meta.url))

async function read(path: string): Promise<string> {
  return await readFile(join(root, path), 'utf8')
}

interface PackageJson {
  readonly version: string
  readonly engines: { readonly node: string }
  readonly scripts: Readonly<Record<string, string>>
  readonly dependencies: Readonly<Record<string, string>>
}

const packageJson = JSON.parse(await read('package.json')) as PackageJson
const pages = [
  'README.md',
  'CONTRIBUTING.md',
  'CHANGELOG.md',
  'SECURITY.md',
  ...(await readdir(join(root, 'docs'), { recursive: true })).filter(isPage).map(inDocs),
]

/** Pages with a block that is run. */
const withCommands: string[] = []
for (const page of pages) {
  if (parseShellBlocks(await read(page)).some(({ notRun }) => notRun === undefined)) withCommands.push(page)
}

function isPage(path: string): boolean {
  return path.endsWith('.md')
}

/** The anchors of a page's headings, and those that it names itself. */
function anchorsOf(markdown: string): string[] {
  const slugger = new GithubSlugger()
  const text = markdown.replace(/^```.*?^```$/gms, '')
  return [
    ...[...text.matchAll(/^#{1,6} (.+)$/gm)].map(([, heading = '']) => slugger.slug(heading)),
    ...[...text.matchAll(/<a id="([^"]+)"><\/a>/g)].map(([, id = '']) => id),
  ]
}

function inDocs(path: string): string {
  return join('docs', path)
}

describe('the documentation', () => {
  it('gives a reason for each runtime dependency, and for no other', async () => {
    const named = [...(await read('docs/dependencies.md')).matchAll(/^\| `([^`]+)` +\| \S/gm)].map(([, name]) => name)
    expect(named).toEqual(Object.keys(packageJson.dependencies).sort())
  })

  it.each(pages)('%s has no link to a file that is not there', async (page) => {
    const links = [...(await read(page)).matchAll(/\]\((?!https?:)([^)#]+)/g)].map(([, link]) => link ?? '')
    for (const link of links) {
      await expect(readFile(join(root, dirname(page), link)), `${page}: ${link}`).resolves.toBeDefined()
    }
  })

  it.each(pages)('%s has no link to a heading that is not there', async (page) => {
    for (const [, path = '', anchor = ''] of (await read(page)).matchAll(/\]\((?!https?:)([^)#]*)#([^)]+)\)/g)) {
      const target = path === '' ? page : join(dirname(page), path)
      expect(anchorsOf(await read(target)), `${page}: ${path}#${anchor}`).toContain(anchor)
    }
  })

  it('has anchors as GitHub makes them', () => {
    const text =
      '# Retain & adopt\n\n```sh\n# not a heading\n```\n\n## `status`: what it says\n\n## `status`: what it says\n'
    expect(anchorsOf(text)).toEqual(['retain--adopt', 'status-what-it-says', 'status-what-it-says-1'])
  })

  it.each(pages)('%s names no target of make that is not there', async (page) => {
    const targets = [...(await read('Makefile')).matchAll(/^([a-z0-9-]+):/gm)].map(([, target]) => target)
    const used = [...(await read(page)).matchAll(/(?:^|`)make ([a-z0-9-]+)/gm)].map(([, target]) => target)
    expect(targets).toEqual(expect.arrayContaining(used))
  })
})

describe('docs/architecture.md', () => {
  /** Paths in backquotes, each with the names in the parentheses behind it. */
  async function named(): Promise<{ path: string; symbols: string[] }[]> {
    const paths = /`((?:src|test|tools|docs|deploy|simulator|eslint\.config\.js)[\w./-]*)`(?: \(([^)]*)\))?/g
    return [...(await read('docs/architecture.md')).matchAll(paths)].map(([, path = '', names = '']) => ({
      path,
      symbols: [...names.matchAll(/`(\w+)`/g)].map(([, symbol = '']) => symbol),
    }))
  }

  it('names files and folders that exist, and symbols that they have', async () => {
    const all = await named()
    expect(all.length).toBeGreaterThan(60)
    for (const { path, symbols } of all) {
      await expect(access(join(root, path)), path).resolves.toBeUndefined()
      for (const symbol of symbols) {
        expect(await read(path), `${path}: ${symbol}`).toMatch(new RegExp(`\\b${symbol}\\b`))
      }
    }
  })

  it('names every folder of src', async () => {
    const folders = (await readdir(join(root, 'src'), { withFileTypes: true })).filter((entry) => entry.isDirectory())
    const paths = (await named()).map(({ path }) => path)
    expect(paths).toEqual(expect.arrayContaining(folders.map(({ name }) => `src/${name}`)))
  })

  it('names checks that the plan has', async () => {
    const page = await read('docs/architecture.md')
    const checks = await read('src/plan/checks.ts')
    const names = [...page.matchAll(/[Tt]he check `(\w+)`/g)].map(([, name = '']) => name)
    expect(names.length).toBeGreaterThan(3)
    for (const name of names) expect(checks).toMatch(new RegExp(`\\b${name}\\b`))
  })
})

describe('the examples', () => {
  it('are the manifests that the README shows', async () => {
    const shown = [...(await read('README.md')).matchAll(/^```yaml\n# (examples\/\S+)\n(.*?)^```$/gms)]
    const files = (await readdir(join(root, 'examples'), { recursive: true })).filter((name) => name.endsWith('.yaml'))
    expect(shown.map(([, path]) => path).sort()).toEqual(files.map((name) => `examples/${name}`).sort())
    for (const [, path = '', text] of shown) expect(text, path).toBe(await read(path))
  })
})

describe('the decision records', () => {
  it('have a status, a date, and the alternatives, and are in the list', async () => {
    const list = await read('docs/adr/README.md')
    const records = (await readdir(join(root, 'docs/adr'))).filter((name) => name !== 'README.md').sort()
    expect(records.length).toBeGreaterThan(9)
    expect(new Set(records.map((name) => name.slice(0, 5))).size, 'distinct numbers').toBe(records.length)
    for (const name of records) {
      const number = /^(\d{4})-/.exec(name)?.[1] ?? ''
      expect(list).toContain(`[${number}](${name})`)
      const text = await read(join('docs/adr', name))
      expect(text, name).toMatch(/^Status: \w+.*\n\nDate: \d{4}-\d\d-\d\d\b/m)
      expect(text, name).toContain('\n## Alternatives\n')
    }
  })
})

describe('the commands of the documentation', () => {
  const howTos = withCommands.filter((page) => page.startsWith('docs/how-to/'))
  const runbooks = withCommands.filter((page) => page.startsWith('docs/runbooks/'))
  /** Pages whose blocks are run in whole, and by which test. */
  const runPages: Readonly<Record<string, string>> = {
    'README.md': 'test/integration/readme.test.ts',
    'CONTRIBUTING.md': 'test/integration/contributing.test.ts',
    ...Object.fromEntries(howTos.map((page) => [page, 'test/integration/how-tos.test.ts'])),
    'docs/how-to/install.md': 'test/charts/pages.test.ts',
    'docs/how-to/monitor.md': 'test/charts/pages.test.ts',
    'docs/how-to/upgrade.md': 'test/charts/pages.test.ts',
    'docs/tutorial.md': 'test/integration/how-tos.test.ts',
    ...Object.fromEntries(runbooks.map((page) => [page, 'test/integration/how-tos.test.ts'])),
  }

  /** How many blocks of a page are marked, each with the reason why no test runs it. */
  const marked: Readonly<Record<string, number>> = {
    'CONTRIBUTING.md': 6,
    'README.md': 3,
    'docs/how-to/debug.md': 1,
    'docs/how-to/gitops.md': 1,
    'docs/how-to/install.md': 1,
    'docs/how-to/several-operators.md': 1,
    'docs/runbooks/EnosGatewayCircuitOpen.md': 1,
    'docs/runbooks/EnosGatewayClockSkew.md': 1,
    'docs/runbooks/EnosOperatorAPIServerRefusing.md': 1,
    'docs/runbooks/EnosOperatorAbsent.md': 1,
    'docs/runbooks/EnosOperatorEventLoopLag.md': 1,
    'docs/runbooks/EnosOperatorLogLinesDropped.md': 1,
    'docs/runbooks/EnosOperatorNoLeader.md': 1,
    'docs/runbooks/EnosOperatorQueueStuck.md': 1,
    'docs/runbooks/EnosOperatorRenewalsLate.md': 1,
    'docs/runbooks/EnosOperatorTwoLeaders.md': 1,
    'docs/runbooks/EnosOperatorVersionSkew.md': 1,
    'docs/runbooks/EnosOperatorWatchStale.md': 1,
    'docs/tutorial.md': 3,
  }

  const helps = new Map<string, Promise<string>>()

  async function helpOf(program: string, subcommand: string): Promise<string> {
    const source = program === 'enos-gateway-simulator' ? 'simulator/main.ts' : 'src/main.ts'
    const args = [join(root, source), ...(subcommand === '' ? [] : [subcommand]), '--help']
    const key = args.join(' ')
    const help = helps.get(key) ?? runToEnd(process.execPath, args).then(({ stdout }) => stdout)
    helps.set(key, help)
    return await help
  }

  it.each(pages.filter((page) => runPages[page] === undefined))('in %s say why no test runs them', async (page) => {
    for (const { commands, notRun } of parseShellBlocks(await read(page))) {
      expect(notRun, `${page}: ${commands.join('; ')}`).toBeDefined()
    }
  })

  it.each(Object.entries(runPages))('in %s are run by %s', async (page, test) => {
    expect(parseShellBlocks(await read(page)).length).toBeGreaterThan(0)
    expect(await read(test)).toContain(basename(page))
  })

  it('are marked and counted here where no test runs them', async () => {
    const counts = new Map<string, number>()
    for (const page of pages) {
      const { length } = parseShellBlocks(await read(page)).filter(({ notRun }) => notRun !== undefined)
      if (length > 0) counts.set(page, length)
    }
    expect(Object.fromEntries(counts)).toEqual(marked)
  })

  it.each(pages)('in %s are valid for bash', async (page) => {
    for (const { commands } of parseShellBlocks(await read(page))) {
      const { code, stderr } = await runToEnd('bash', ['-n'], { input: commands.join('\n') })
      expect(code, `${page}: ${stderr}`).toBe(0)
    }
  })

  it('have flags that the commands know', async () => {
    for (const page of pages) {
      for (const command of parseShellBlocks(await read(page)).flatMap((block) => block.commands)) {
        const [, program = '', subcommand = ''] = /^(?:npx )?(enos-[a-z-]+) ?([a-z]*)/.exec(command) ?? []
        if (program === '') continue
        const help = await helpOf(program, subcommand)
        for (const [flag] of command.matchAll(/--[a-z-]+/g)) expect(help, `${page}: ${command}`).toContain(flag)
      }
    }
  })

  it('name files of tests that exist, and cases that they have', async () => {
    for (const page of pages) {
      for (const command of parseShellBlocks(await read(page)).flatMap((block) => block.commands)) {
        for (const [file] of command.matchAll(/test\/\S+\.test\.ts/g)) {
          const name = / -t '([^']+)'/.exec(command)?.[1] ?? ''
          const cases = file.replace(/^test\/faults\/(\S+)\.test\.ts$/, 'test/faults/cases/$1.ts')
          expect(`${await read(file)}${await read(cases)}`, command).toContain(name)
        }
      }
    }
  })

  it('are found in their blocks, without comments, and with the reason why they are not run', () => {
    const page =
      '<!-- not run: it is slow -->\n\n```sh\nmake a # a comment\n```\n\n```sh\nmake b\nmake c\n```\n\n<!-- not run: it waits -->\n\n```sh\nmake d\n```\n'
    expect(parseShellBlocks(page)).toEqual([
      { commands: ['make a'], notRun: 'it is slow' },
      { commands: ['make b', 'make c'], notRun: undefined },
      { commands: ['make d'], notRun: 'it waits' },
    ])
  })
})

describe('the files for editors', () => {
  it('name programs, images and commands that exist', async () => {
    const launch = JSON.parse(await read('.vscode/launch.json')) as { configurations: { program: string }[] }
    expect(launch.configurations).toHaveLength(2)
    for (const { program } of launch.configurations) {
      await expect(read(program.replace('${workspaceFolder}/', '')), program).resolves.toBeDefined()
    }
    const container = JSON.parse(await read('.devcontainer/devcontainer.json')) as Record<string, unknown>
    const major = /\d+/.exec(packageJson.engines.node)?.[0]
    expect(container['image']).toBe(`mcr.microsoft.com/devcontainers/typescript-node:${major}-bookworm`)
    const go = /^go (\d+\.\d+)/m.exec(await read('test/control-plane/go.mod'))?.[1]
    expect(container['features']).toEqual({ 'ghcr.io/devcontainers/features/go:1': { version: go } })
    const targets = [...(await read('Makefile')).matchAll(/^([a-z0-9-]+):/gm)].map(([, target]) => target)
    expect(targets).toEqual(expect.arrayContaining(String(container['postCreateCommand']).split(' ').slice(1)))
  })
})

describe('the image', () => {
  it('is built of files that are there, with the Node that package.json asks for', async () => {
    const dockerfile = await read('Dockerfile')
    for (const [, sources = ''] of dockerfile.matchAll(/^COPY (?!--from)(.+) \S+$/gm)) {
      for (const source of sources.split(' ')) expect(await readdir(root)).toContain(source)
    }
    const major = /\d+/.exec(packageJson.engines.node)?.[0]
    expect(dockerfile).toContain(`node:${major} AS build`)
    expect(dockerfile).toContain(`nodejs${major}-debian12`)
  })

  it('leaves the flags of Node to the launcher, as npm start does', async () => {
    expect(packageJson.scripts['start']).toBe('exec node dist/main.js')
    expect(await read('Dockerfile')).toContain('ENTRYPOINT ["/nodejs/bin/node", "/app/main.mjs"]')
  })

  it('has the version that package.json and the manifests have', async () => {
    expect(await read('Dockerfile')).toContain(`ARG VERSION=${packageJson.version}`)
    const image = `image: ${imageName}:${packageJson.version}`
    expect(await read('deploy/base/deployment.yaml')).toContain(image)
    expect(await read('CHANGELOG.md')).toContain(`## [${packageJson.version}]`)
  })
})
