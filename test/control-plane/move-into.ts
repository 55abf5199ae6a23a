import { mkdir, rename } from 'node:fs/promises'
import { join } from 'node:path'

/** Moves complete programs into a folder, each at once: an interrupted build or download leaves no half of a program. */
export async function moveInto(target: string, from: string, moved: readonly string[]): Promise<void> {
  await mkdir(target, { recursive: true })
  for (const program of moved) await rename(join(from, program), join(target, program))
}
