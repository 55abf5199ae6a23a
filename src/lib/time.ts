/** RFC 3339, UTC, whole seconds: `2026-01-02T03:04:05Z`. */
export function formatTime(epochMs: number): string {
  return `${new Date(epochMs).toISOString().slice(0, -'.000Z'.length)}Z`
}

/** As metav1.MicroTime: RFC 3339, UTC, six decimals: `2026-01-02T03:04:05.678901Z`. */
export function formatMicroTime(epochMicros: number): string {
  const millis = new Date(Math.floor(epochMicros / 1000)).toISOString().slice(0, -1)
  return `${millis}${String(Math.floor(epochMicros % 1000)).padStart(3, '0')}Z`
}
