import { readFileSync } from 'node:fs'

const published = JSON.parse(readFileSync(new URL('../published.json', import.meta.url), 'utf8')) as { home: string }

/** The home page of the project, where the runbooks are. */
export const homePage = published.home
