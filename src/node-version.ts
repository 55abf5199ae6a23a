/**
 * Imported before all else, so that whoever has a Node that is too old reads this, and no error about what it lacks.
 * What a `node:` module lacks must not be imported by its name: that fails before anything runs.
 */
const oldest = 24

if (Number.parseInt(process.versions.node) < oldest) {
  process.stderr.write(`enos-credential-operator: Node ${oldest} or later is needed; this is ${process.version}\n`)
  process.exit(1)
}
