/** There is no usable kubeconfig. The message names the file and the remedy, and of the content only names of contexts. */
export class KubeconfigError extends Error {
  override readonly name = 'KubeconfigError'
  readonly code = 'KubeconfigUnusable'
}

/** @param what for the message: `the client-key file` @throws KubeconfigError that names the file */
export function unusableFile(what: string, file: string, error: unknown): KubeconfigError {
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error'
  return new KubeconfigError(`${what} ${file} ${code === 'ENOENT' ? 'does not exist' : `cannot be read (${code})`}`)
}
