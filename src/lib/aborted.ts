/** Resolves when the signal aborts. */
export async function aborted(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
}

/**
 * Has the controller abort with the signal, for the same reason. Of AbortSignal.any, each call would leave weak references
 * to every collection of garbage.
 *
 * @returns ends it
 */
export function abortWith(controller: AbortController, signal: AbortSignal): () => void {
  const onAbort = (): void => {
    controller.abort(signal.reason)
  }
  signal.addEventListener('abort', onAbort, { once: true })
  if (signal.aborted) onAbort()
  return () => {
    signal.removeEventListener('abort', onAbort)
  }
}
