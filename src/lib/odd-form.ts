import type { Sensitive } from './sensitive.ts'

/** Oddities of a value and the words for them; the words never depend on the value. */
const oddities: readonly (readonly [words: string, hasIt: (text: string) => boolean])[] = [
  ['begins with white space', (text) => /^\s/.test(text)],
  ['ends with white space', (text) => /\s$/.test(text)],
  ['has line breaks', (text) => /\S\s*[\r\n]\s*\S/.test(text)],
  // Format characters (zero width, byte order mark, direction), control characters, and spaces other than U+0020.
  ['has invisible characters', (text) => /[\p{Cf}\u00a0\u2000-\u200a\u202f\u3000]|(?![\t\r\n])\p{Cc}/u.test(text)],
  ['is in quotes', (text) => /^(?:"[^]*"|'[^]*'|`[^]*`|“[^]*”|‘[^]*’)$/.test(text.trim()) && text.trim().length > 1],
  ['looks like a placeholder', (text) => /^(?:\$\{[^]*\}|\$\([^]*\)|\{\{[^]*\}\}|<[^<>]*>)$/.test(text.trim())],
  ['looks like a value encrypted by SOPS', (text) => /^\s*ENC\[[A-Z0-9_]+,data:/.test(text)],
  ['looks like the value of a SealedSecret', isSealed],
  ['looks like a value encrypted by Ansible or Vault', (text) => /^\s*(?:\$ANSIBLE_VAULT;|vault:v\d+:)/.test(text)],
  ['looks like base64 of text', isBase64OfText],
]

const minSealedLength = 300
const minDecodedLength = 6

/**
 * What is odd about the form of a source value that a gateway refused, as the end of a sentence that begins with the
 * value: `ends with white space and is in quotes`. The words tell nothing about the value but its form.
 *
 * @returns undefined if the form is not odd
 */
export function describeOddForm(value: Sensitive): string | undefined {
  const text = value.reveal()
  const found = oddities.filter(([, hasIt]) => hasIt(text)).map(([words]) => words)
  if (found.length === 0) return undefined
  return found.length === 1 ? found[0] : `${found.slice(0, -1).join(', ')} and ${found.at(-1) ?? ''}`
}

/** kubeseal: a two-byte length of the encrypted key (0x0200), that key, and the encrypted value. */
function isSealed(text: string): boolean {
  const trimmed = text.trim()
  return trimmed.length >= minSealedLength && /^Ag[A-D][A-Za-z0-9+/]+={0,2}$/.test(trimmed)
}

/** A random value decodes to random bytes: six of them are all printable once in about 400 values. */
function isBase64OfText(text: string): boolean {
  const trimmed = text.trim().replace(/^(["'])(.*)\1$/, '$2')
  if (trimmed.length % 4 !== 0 || !/^[A-Za-z0-9+/]+={0,2}$/.test(trimmed)) return false
  const decoded = Buffer.from(trimmed, 'base64')
  return decoded.length >= minDecodedLength && /^[\x20-\x7e]+[\r\n]*$/.test(decoded.toString('latin1'))
}
