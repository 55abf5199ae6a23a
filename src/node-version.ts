/**
 * Imported first, so that the user of an old Node reads this instead of an error about a missing feature. Features that
 * an old Node lacks must not be imported by name from `node:` modules: that fails before anything runs.
 */
const oldest = 24

if (Number.parseInt(process.versions.node) < oldest) {
  process.stderr.write(`enos-credential-operator: Node ${oldest} or later is needed; this is ${process.version}\n`)
  process.exit(1)
}
