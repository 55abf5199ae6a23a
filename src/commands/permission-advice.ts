/**
 * What a user asks for who lacks a permission. The ClusterRoles come with deploy/ and the chart, not with the CRD.
 *
 * @param namespace undefined: all
 */
export function permissionAdvice(verb: 'get' | 'list' | 'patch', namespace: string | undefined): string {
  const where = namespace === undefined ? 'all namespaces' : `namespace ${namespace}`
  const role = `enosappcredentials-${verb === 'patch' ? 'edit' : 'view'}`
  return `ask for the verb ${verb} on enosappcredentials.enos.io in ${where}, which the ClusterRole ${role} of the installation grants`
}
