/** A block of commands in Markdown. */
export interface ShellBlock {
  /** Without their comments. */
  readonly commands: readonly string[]
  /** Why the block is not run by its page's test, from `<!-- not run: … -->` above it. */
  readonly notRun: string | undefined
}

/** The blocks of commands of a page, in their order. */
export function parseShellBlocks(markdown: string): ShellBlock[] {
  const blocks = markdown.matchAll(
    /(?:^<!-- not run: (?<notRun>\S[^\n]*) -->\n+)?^```(?:sh|bash|shell|console)\n(?<text>.*?)^```$/gms,
  )
  return [...blocks].map(({ groups = {} }) => ({
    commands: (groups['text'] ?? '')
      .trimEnd()
      .split('\n')
      .map((line) => line.replace(/\s+#.*$/, '')),
    notRun: groups['notRun'],
  }))
}
