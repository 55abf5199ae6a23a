/**
 * Whether a log in the format pretty has colours, as https://no-color.org and https://force-color.org have it; as in
 * Node, FORCE_COLOR goes first. Undefined: where standard output is a terminal.
 */
export function parseLogColours({
  FORCE_COLOR: forced,
  NO_COLOR: refused = '',
  TERM: terminal,
}: Readonly<Record<string, string | undefined>>): boolean | undefined {
  if (forced !== undefined) return forced !== '0' && forced !== 'false'
  return refused !== '' || terminal === 'dumb' ? false : undefined
}
