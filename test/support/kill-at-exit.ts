import type { ChildProcess } from 'node:child_process'

const running = new Set<ChildProcess>()

/** Has the child end with this process, however this process exits. One listener is for all: from the eleventh on Node.js warns. */
export function killAtExit(child: ChildProcess): void {
  if (!process.listeners('exit').includes(killRunning)) process.on('exit', killRunning)
  running.add(child)
  child.once('close', () => running.delete(child))
}

function killRunning(): void {
  for (const child of running) child.kill('SIGKILL')
}
