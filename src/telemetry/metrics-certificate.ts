import { createPrivateKey, X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { createSecureContext } from 'node:tls'
import type { CertificateFiles } from '../config/run-config.ts'
import type { Clock, Timer } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'

/** A certificate, with its chain, and its private key, both PEM. */
export interface CertificatePair {
  readonly cert: Buffer
  readonly key: Buffer
}

export interface MetricsCertificateOptions {
  readonly files: CertificateFiles
  readonly clock: Pick<Clock, 'setTimer'>
  readonly log: Log
}

/** The files cannot be used. The message names the flag and the file, and quotes nothing of the content. */
export class CertificateFileError extends Error {
  override readonly name = 'CertificateFileError'
}

/**
 * Files are read again rather than watched: the kubelet replaces them by moving a symbolic link of their folder, other
 * tools by renaming, and each would need a watch of its own.
 */
const checkIntervalMs = 10_000

/** The certificate that /metrics is served with, read again when its files change. */
export class MetricsCertificate {
  readonly #options: MetricsCertificateOptions
  #pair: CertificatePair
  #timer: Timer | undefined
  /** The last failure, so that each is logged once and not at each check. */
  #failure: string | undefined

  private constructor(options: MetricsCertificateOptions, pair: CertificatePair) {
    this.#options = options
    this.#pair = pair
  }

  /** @throws CertificateFileError */
  static async load(options: MetricsCertificateOptions): Promise<MetricsCertificate> {
    return new MetricsCertificate(options, await readPair(options.files))
  }

  get pair(): CertificatePair {
    return this.#pair
  }

  /** Calls back with each new pair. While the files cannot be used, as between two renames, the last pair stays. */
  watch(onRotated: (pair: CertificatePair) => void): void {
    const timer = this.#options.clock.setTimer(checkIntervalMs, () => {
      void this.#check(onRotated).finally(() => {
        if (this.#timer === timer) this.watch(onRotated)
      })
    })
    this.#timer = timer
  }

  stop(): void {
    this.#timer?.cancel()
    this.#timer = undefined
  }

  async #check(onRotated: (pair: CertificatePair) => void): Promise<void> {
    const { files, log } = this.#options
    try {
      const pair = await readPair(files)
      this.#failure = undefined
      if (pair.cert.equals(this.#pair.cert) && pair.key.equals(this.#pair.key)) return
      onRotated(pair)
      this.#pair = pair
      log.info({ expiresAt: expiryOf(pair) }, 'metrics certificate reloaded')
    } catch (error) {
      if (!(error instanceof CertificateFileError)) throw error
      const { message: reason } = error
      const expiresAt = expiryOf(this.#pair)
      if (reason !== this.#failure) {
        log.error({ reason, expiresAt }, 'metrics certificate not reloaded, keeping the last one')
      }
      this.#failure = reason
    }
  }
}

/** @throws CertificateFileError */
async function readPair({ certFile, keyFile }: CertificateFiles): Promise<CertificatePair> {
  const [certFlag, keyFlag] = ['--metrics-tls-cert-file', '--metrics-tls-key-file']
  const [cert, key] = await Promise.all([readOf(certFlag, certFile), readOf(keyFlag, keyFile)])
  const certificate = parsed(() => new X509Certificate(cert))
  if (certificate === undefined || !cert.includes('-----BEGIN CERTIFICATE-----')) {
    throw new CertificateFileError(`${certFlag}: ${certFile} has no certificate in PEM format`)
  }
  const privateKey = parsed(() => createPrivateKey(key))
  if (privateKey === undefined) {
    throw new CertificateFileError(`${keyFlag}: ${keyFile} has no unencrypted private key in PEM format`)
  }
  if (!certificate.checkPrivateKey(privateKey)) {
    throw new CertificateFileError(`${keyFlag}: ${keyFile} is not the key of the certificate in ${certFile}`)
  }
  // As the server will do, which must not fail.
  if (parsed(() => createSecureContext({ cert, key })) === undefined) {
    throw new CertificateFileError(`${certFlag}: ${certFile} has a chain that TLS cannot use`)
  }
  return { cert, key }
}

async function readOf(flag: string, file: string): Promise<Buffer> {
  try {
    return await readFile(file)
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'unknown error'
    const problem = code === 'ENOENT' ? 'does not exist' : `cannot be read (${code})`
    throw new CertificateFileError(`${flag}: ${file} ${problem}`)
  }
}

/** The messages of OpenSSL may quote the content, and say less than the caller can. */
function parsed<T>(parse: () => T): T | undefined {
  try {
    return parse()
  } catch {
    return undefined
  }
}

function expiryOf({ cert }: CertificatePair): string {
  return new X509Certificate(cert).validToDate.toISOString()
}
