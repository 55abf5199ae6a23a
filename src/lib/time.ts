/** RFC 3339, UTC, whole seconds: `2026-01-02T03:04:05Z`. */
export function formatTime(epochMs: number): string {
  return new Date(epochMs).toISOString().replace(/\.\d{3}Z$/, 'Z')
}
