import { Writable } from 'node:stream'
import type { Clock, Timer } from '../lib/clock.ts'

/** Lines that wait for a slow reader or a full disk: some thousand. */
const maxPendingBytes = 1024 * 1024
/** Lines that are written together. */
const maxBatchBytes = 64 * 1024
/** Between two writes: a system call for each line took 4 % of the processor time of a burst, 7 % of that of renewals. */
const writeIntervalMs = 50
/** Before another attempt on a disk that is full or a terminal that is stopped. */
const retryMs = 100
/** The log must not hold up the exit. */
const maxFlushMs = 500

/** Number of bytes that were written; `later`: none could be, but may be; `never`: the reader is gone. */
export type WriteOutcome = number | 'later' | 'never'

/** Where the log goes. */
export interface LogSink {
  /** Never blocks the thread. Calls `done` once, after it has returned. */
  readonly write: (bytes: Buffer, done: (outcome: WriteOutcome) => void) => void
  /** One attempt, while the process exits. */
  readonly writeLast: (bytes: Buffer) => void
}

/** Called when lines are written again, with the number of lines that were dropped. */
export type OnRecovered = (dropped: number) => void

/**
 * The log's output of any kind: file, device, pipe, socket or terminal. Nothing behind it can hold up the process or end
 * it: lines wait for a slow reader or a full disk up to 1 MiB, those beyond are dropped, and once the reader is gone, all
 * are. Dropped lines are counted.
 *
 * Not sonic-boom, which pino uses by default: its synchronous mode sleeps on the thread and tries again while the reader
 * is stopped; its asynchronous one emits ENOSPC as an error, which ends the process unless it is handled and loses its
 * lines if it is, and both write at the exit in a loop that ends only when all is written.
 */
export class LogOutput extends Writable {
  readonly #sink: LogSink
  readonly #clock: Clock
  #lines: Buffer[] = []
  /** The bytes that are being written. */
  #batch: Buffer | undefined
  #batchLines = 0
  #pendingBytes = 0
  #nextWriteAt = Number.NEGATIVE_INFINITY
  /** Of the next write, while lines wait for it. */
  #timer: Timer | undefined
  #droppedLines = 0
  /** Those of the dropped lines that `onRecovered` was told. */
  #reportedLines = 0
  #isWaiting = false
  #isBroken = false
  #onRecovered: OnRecovered = () => undefined
  #onFlushed: (() => void)[] = []

  constructor(sink: LogSink, clock: Clock) {
    super({ decodeStrings: true })
    this.#sink = sink
    this.#clock = clock
  }

  /** Bytes that are not written yet. */
  get pendingBytes(): number {
    return this.#pendingBytes
  }

  /** Lines that were dropped since the start; of a failed write, all of its lines. */
  get droppedLines(): number {
    return this.#droppedLines
  }

  reportDropped(onRecovered: OnRecovered): void {
    this.#onRecovered = onRecovered
  }

  override _write(line: Buffer, _encoding: string, done: () => void): void {
    this.#add(line)
    done()
  }

  /** Resolves when all lines are written or lost, at the latest after 500 ms. */
  async flush(): Promise<void> {
    if (this.#pendingBytes === 0) return
    this.#nextWriteAt = Number.NEGATIVE_INFINITY
    this.#schedule()
    await new Promise<void>((resolve) => {
      const timer = this.#clock.setTimer(maxFlushMs, resolve)
      this.#onFlushed.push(() => {
        timer.cancel()
        resolve()
      })
    })
  }

  /** Hands over the lines that wait, while the process exits: the last before a crash matter most. */
  writeLast(): void {
    const rest = Buffer.concat([...(this.#isWaiting && this.#batch !== undefined ? [this.#batch] : []), ...this.#lines])
    this.#lines = []
    if (rest.length > 0 && !this.#isBroken) this.#sink.writeLast(rest)
  }

  #add(line: Buffer): void {
    if (this.#isBroken || this.#pendingBytes + line.length > maxPendingBytes) {
      this.#droppedLines++
      return
    }
    this.#lines.push(line)
    this.#pendingBytes += line.length
    this.#schedule()
  }

  /** Has the waiting lines written: at once, or in the interval's time after the last write. */
  #schedule(): void {
    if (this.#batch !== undefined || this.#lines.length === 0) return
    const delayMs = this.#nextWriteAt - this.#clock.now()
    if (delayMs <= 0) {
      this.#writeNext()
    } else {
      this.#timer ??= this.#clock.setTimer(delayMs, () => {
        this.#writeNext()
      })
    }
  }

  #writeNext(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    this.#nextWriteAt = this.#clock.now() + writeIntervalMs
    let [count, bytes] = [0, 0]
    while (count < this.#lines.length && bytes < maxBatchBytes) bytes += this.#lines[count++]?.length ?? 0
    this.#batchLines = count
    this.#attempt(Buffer.concat(this.#lines.splice(0, count), bytes))
  }

  #attempt(batch: Buffer): void {
    this.#batch = batch
    this.#isWaiting = false
    this.#sink.write(batch, (outcome) => {
      if (outcome === 'never') this.#break()
      else if (outcome === 'later') this.#attemptLater(batch)
      else this.#onWritten(batch.subarray(outcome), outcome)
    })
  }

  #attemptLater(batch: Buffer): void {
    this.#isWaiting = true
    this.#clock.setTimer(retryMs, () => {
      this.#attempt(batch)
    })
  }

  #onWritten(rest: Buffer, written: number): void {
    this.#pendingBytes -= written
    if (rest.length > 0) {
      this.#attempt(rest)
      return
    }
    this.#batch = undefined
    // With room, so that the report is not dropped itself.
    const unreported = this.#droppedLines - this.#reportedLines
    if (unreported > 0 && this.#pendingBytes < maxPendingBytes / 2) {
      this.#reportedLines = this.#droppedLines
      this.#onRecovered(unreported)
    }
    if (this.#pendingBytes === 0) this.#endFlush()
    else this.#schedule()
  }

  /** No line can report this, only the count of dropped lines can. */
  #break(): void {
    this.#isBroken = true
    this.#droppedLines += this.#batchLines + this.#lines.length
    this.#lines = []
    this.#batch = undefined
    this.#pendingBytes = 0
    this.#endFlush()
  }

  #endFlush(): void {
    for (const done of this.#onFlushed.splice(0)) done()
  }
}
