import { secrets } from '../../src/kubernetes/types.ts'
import { decodeKey, type Secret } from '../../src/targets/secret.ts'
import { delay, type Harness } from '../integration/harness.ts'
import { VersionLog } from '../integration/version-log.ts'
import type { GatewayPod } from './world.ts'

export interface TokenFindings {
  /** Uids that the Secret had. */
  readonly uids: readonly string[]
  /** Tokens that the Secret held. */
  readonly tokens: number
  /** Times at which the Secret held a token that the gateway refuses, or none. */
  readonly invalid: number
  readonly samples: number
}

/** Watches a target, and asks the gateway four times a second whether the token on it is valid. */
export class TokenWatch {
  readonly #versions: VersionLog<Secret>
  readonly #sample: () => Promise<void>
  readonly #sampling: Promise<void>
  readonly #findings = { uids: new Set<string>(), tokens: new Set<string>(), invalid: 0, samples: 0 }
  #isStopped = false

  private constructor(versions: VersionLog<Secret>, sample: () => Promise<void>) {
    this.#versions = versions
    this.#sample = sample
    this.#sampling = this.#run()
  }

  /** How many tokens the Secret held until now. */
  get tokens(): number {
    return this.#findings.tokens.size
  }

  static async start(harness: Harness, namespace: string, name: string, gateway: GatewayPod): Promise<TokenWatch> {
    const versions = await VersionLog.start<Secret>({
      client: harness.admin,
      type: secrets,
      namespace,
      onVersion: ({ object }) => {
        if (object.metadata.name === name) watch.#note(object)
      },
    })
    const watch: TokenWatch = new TokenWatch(versions, async () => {
      const secret = await harness.getSecret(namespace, name)
      if (secret !== undefined) watch.#note(secret)
      const token = secret === undefined ? undefined : decodeKey(secret, 'accessToken')?.reveal()
      watch.#findings.samples++
      if (token === undefined || !(await gateway.isValid(token))) watch.#findings.invalid++
    })
    return watch
  }

  async stop(): Promise<TokenFindings> {
    this.#isStopped = true
    await this.#sampling
    await this.#sample()
    await this.#versions.stop()
    const { invalid, samples, tokens, uids } = this.#findings
    return { invalid, samples, tokens: tokens.size, uids: [...uids] }
  }

  async #run(): Promise<void> {
    while (!this.#isStopped) {
      await this.#sample()
      await delay(250)
    }
  }

  #note(secret: Secret): void {
    this.#findings.uids.add(secret.metadata.uid ?? '')
    const token = decodeKey(secret, 'accessToken')?.reveal()
    if (token !== undefined) this.#findings.tokens.add(token)
  }
}
