import { isAbsolute, join } from 'node:path'
import type { User } from '@kubernetes/client-node'
import { type Fields, fieldsOf } from '../lib/fields.ts'
import type { ExecPluginConfig } from './exec-plugin.ts'
import { assertData } from './kubeconfig-data.ts'

/** A user of a kubeconfig, with what client-node leaves out. */
export interface KubeconfigUser extends User {
  /** In place of client-node's `exec`, which knows neither KUBERNETES_EXEC_INFO nor installHint. */
  readonly execPlugin?: ExecPluginConfig
  readonly impersonation?: Impersonation
}

export interface Impersonation {
  readonly groups: readonly string[]
  readonly uid: string | undefined
  readonly extra: Readonly<Record<string, readonly string[]>>
}

/**
 * Completes a user as client-node parsed it: tokenFile (goes before token), the groups, uid and extra of an
 * impersonation, and the exec plugin.
 *
 * @param fields of the entry in the file
 * @param directory of the file: relative paths and commands are resolved against it
 * @throws Error that names the invalid field, without its value
 */
export function completeUser(user: User, fields: Fields, directory: string): KubeconfigUser {
  const resolve = (file: string): string => (isAbsolute(file) ? file : join(directory, file))
  const tokenFile = textOf(fields, 'tokenFile')
  const execPlugin = tokenFile === undefined ? parseExec(fields['exec'], resolve) : undefined
  const impersonation = parseImpersonation(fields)
  const { certData, certFile, keyData, keyFile } = user
  assertData('client-certificate-data', 'user', certData)
  assertData('client-key-data', 'user', keyData)
  return {
    ...user,
    exec: undefined,
    // The data goes before the file.
    certFile: isSet(certData) || !isSet(certFile) ? '' : resolve(certFile),
    keyFile: isSet(keyData) || !isSet(keyFile) ? '' : resolve(keyFile),
    ...(tokenFile === undefined
      ? {}
      : { token: '', authProvider: { name: 'tokenFile', config: { tokenFile: resolve(tokenFile) } } }),
    ...(execPlugin === undefined ? {} : { execPlugin }),
    ...(impersonation === undefined ? {} : { impersonation }),
  }
}

/** The file of the user's token; undefined: it has none. */
export function tokenFileOf(user: User | null): string | undefined {
  return textOf(fieldsOf(fieldsOf(user?.authProvider)['config']), 'tokenFile')
}

/** Headers of an impersonation, as client-go sends them. */
export function impersonationHeaders({ groups, uid, extra }: Impersonation): Record<string, string | string[]> {
  return {
    ...(groups.length === 0 ? {} : { 'impersonate-group': [...groups] }),
    ...(uid === undefined ? {} : { 'impersonate-uid': uid }),
    ...Object.fromEntries(
      Object.entries(extra).map(([key, values]) => [`impersonate-extra-${escapeHeader(key)}`, [...values]]),
    ),
  }
}

/** Percent-encodes what a header's name cannot have; the API server decodes it. */
function escapeHeader(key: string): string {
  return [...Buffer.from(key)]
    .map((byte) => {
      const character = String.fromCharCode(byte)
      return /[!#$&'*+\-.^_`|~0-9A-Za-z]/.test(character)
        ? character
        : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`
    })
    .join('')
    .toLowerCase()
}

function parseImpersonation(fields: Fields): Impersonation | undefined {
  const user = textOf(fields, 'as')
  const groups = textsOf(fields, 'as-groups')
  const uid = textOf(fields, 'as-uid')
  const extra = Object.fromEntries(
    Object.keys(fieldsOf(fields['as-user-extra'])).map((key) => [key, textsOf(fieldsOf(fields['as-user-extra']), key)]),
  )
  const isMore = groups.length > 0 || uid !== undefined || Object.keys(extra).length > 0
  // The API server would ignore these, and the calls would be made with the user's own permissions.
  if (isMore && user === undefined) throw new Error('has as-groups, as-uid or as-user-extra without as')
  return isMore ? { groups, uid, extra } : undefined
}

function parseExec(raw: unknown, resolve: (file: string) => string): ExecPluginConfig | undefined {
  if (raw === undefined || raw === null) return undefined
  const fields = fieldsOf(raw)
  const command = textOf(fields, 'command')
  if (command === undefined) throw new Error('has an exec without command')
  const variables = Array.isArray(fields['env']) ? fields['env'].map(fieldsOf) : []
  return {
    // As kubectl: a command without a slash is searched for in PATH.
    command: command.includes('/') ? resolve(command) : command,
    args: textsOf(fields, 'args'),
    variables: Object.fromEntries(variables.map((one) => [textOf(one, 'name') ?? '', textOf(one, 'value') ?? ''])),
    apiVersion: textOf(fields, 'apiVersion') ?? '',
    installHint: textOf(fields, 'installHint'),
    needsTerminal: fields['interactiveMode'] === 'Always',
    wantsClusterInfo: fields['provideClusterInfo'] === true,
  }
}

function textOf(fields: Fields, name: string): string | undefined {
  const value = fields[name]
  if (value === undefined || value === null || value === '') return undefined
  if (typeof value !== 'string') throw new Error(`has a ${name} that is not a string; put it in quotes`)
  return value
}

function textsOf(fields: Fields, name: string): string[] {
  const values = fields[name] ?? []
  if (!Array.isArray(values) || !values.every((value) => typeof value === 'string')) {
    throw new Error(`has ${name} that is not a list of strings`)
  }
  return values
}

function isSet(value: string | null | undefined): value is string {
  return value !== undefined && value !== null && value !== ''
}
