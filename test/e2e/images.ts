import { cp, mkdir, mkdtemp, realpath, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { run } from '../support/run.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))

export const toolsImage = 'e2e.local/tools:1'

/** Files of the tools image beside Node.js and Python, by their places. */
const toolFiles = {
  'app/simulator.mjs': 'dist/simulator.js',
  'app/call-api.mjs': 'docs/examples/call-api.mjs',
  'app/call_api.py': 'docs/examples/call_api.py',
  'app/report-token.mjs': 'test/e2e/report-token.mjs',
}

/**
 * Writes the tools image of test/e2e/Dockerfile without Docker: this Node.js, and Debian's Python.
 *
 * @param archive for containerd's import
 */
export async function writeToolsImage(archive: string): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'tools-image-'))
  try {
    for (const [place, file] of Object.entries(toolFiles)) {
      await mkdir(dirname(join(directory, place)), { recursive: true })
      await cp(join(root, file), join(directory, place))
    }
    for (const name of ['tmp', 'proc', 'sys', 'dev', 'etc', 'usr/local/bin']) {
      await mkdir(join(directory, name), { recursive: true })
    }
    await cp(await realpath(process.execPath), join(directory, 'usr/local/bin/node'))
    await copyPython(directory)
    await copyLibraries(directory, [process.execPath, ...(await pythonPrograms())])
    await run(join(root, 'test/node/image.sh'), [archive, toolsImage, directory, 'null'])
  } finally {
    await rm(directory, { recursive: true })
  }
}

/** Debian's, wherever another `python3` is first on the PATH. */
export const python = '/usr/bin/python3'

async function copyPython(directory: string): Promise<void> {
  const program = await realpath(python)
  const library = `usr/lib/${program.split('/').at(-1) ?? ''}`
  await mkdir(join(directory, 'usr/bin'), { recursive: true })
  await cp(program, join(directory, 'usr/bin/python3'))
  await cp(`/${library}`, join(directory, library), {
    recursive: true,
    dereference: true,
    filter: (source) => !/\/(?:__pycache__|test|idlelib|tkinter|config-[^/]*)(?:\/|$)/.test(source),
  })
}

/** The interpreter, and its modules that load libraries: of hashes and TLS. */
async function pythonPrograms(): Promise<string[]> {
  const modules = ['_hashlib', '_ssl', '_bz2', '_lzma', 'zlib', '_ctypes']
  const code = modules.map((name) => `import ${name}; print(getattr(${name}, '__file__', ''))`).join('\n')
  const files = (await run(python, ['-c', code])).split('\n').filter((file) => file !== '')
  return [python, ...files]
}

/** Copies the libraries of programs to the places from which the loader takes them. */
async function copyLibraries(directory: string, programs: readonly string[]): Promise<void> {
  const libraries = new Set<string>()
  for (const program of programs) {
    for (const [library] of (await run('ldd', [await realpath(program)])).matchAll(/\/\S+/g)) {
      if (!library.endsWith(':')) libraries.add(library)
    }
  }
  for (const library of libraries) {
    await mkdir(dirname(join(directory, library)), { recursive: true })
    await cp(library, join(directory, library), { dereference: true })
  }
}
