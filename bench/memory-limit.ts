import { access, mkdir, readFile, rmdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

/** A control group of Linux with a memory limit, as a container has one. */
export class MemoryLimit {
  readonly #folder: string
  readonly #isV2: boolean

  private constructor(folder: string, isV2: boolean) {
    this.#folder = folder
    this.#isV2 = isV2
  }

  /** @throws where this user may not make control groups */
  static async create(bytes: number): Promise<MemoryLimit> {
    const isV2 = await access('/sys/fs/cgroup/cgroup.controllers').then(
      () => true,
      () => false,
    )
    const folder = join('/sys/fs/cgroup', isV2 ? '' : 'memory', `enos-bench-${process.pid}`)
    await mkdir(folder)
    await writeFile(join(folder, isV2 ? 'memory.max' : 'memory.limit_in_bytes'), String(bytes))
    return new MemoryLimit(folder, isV2)
  }

  /** Options of Node with which a process joins the group before anything else. */
  get nodeArgs(): string[] {
    const file = JSON.stringify(join(this.#folder, 'cgroup.procs'))
    return ['--import', `data:text/javascript,import{writeFileSync as w}from"node:fs";w(${file},String(process.pid))`]
  }

  /** The most that was in use, the kernel's cache of files included. */
  async maxMiB(): Promise<number> {
    const file = join(this.#folder, this.#isV2 ? 'memory.peak' : 'memory.max_usage_in_bytes')
    return Number(await readFile(file, 'utf8')) / 1024 / 1024
  }

  async remove(): Promise<void> {
    await rmdir(this.#folder)
  }
}
