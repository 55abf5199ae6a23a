import { readFileSync } from 'node:fs'

const folder = new URL('../deploy/argocd/resource_customizations/enos.io/EnosAppCredential/', import.meta.url)

/** The actions that `discovery.lua` names. */
export const argocdActions = ['renew', 'suspend', 'resume'] as const

/** @returns the text of a Lua script of `deploy/argocd`, as Argo CD gets it */
export function argocdScript(path: string): string {
  return readFileSync(new URL(path, folder), 'utf8')
}

/**
 * The patch of Argo CD's own ConfigMap that holds the Lua scripts.
 *
 * @see https://argo-cd.readthedocs.io/en/stable/operator-manual/health/
 * @see https://argo-cd.readthedocs.io/en/stable/operator-manual/resource_actions/
 */
export function argocdConfigMap(stringify: (value: unknown) => string): object {
  const definitions = argocdActions.map((name) => ({ name, 'action.lua': argocdScript(`actions/${name}/action.lua`) }))
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'argocd-cm', namespace: 'argocd', labels: { 'app.kubernetes.io/part-of': 'argocd' } },
    data: {
      'resource.customizations.health.enos.io_EnosAppCredential': argocdScript('health.lua'),
      'resource.customizations.actions.enos.io_EnosAppCredential': stringify({
        'discovery.lua': argocdScript('actions/discovery.lua'),
        definitions,
      }),
    },
  }
}
