import { describe, expect, it } from 'vitest'
import type { CommandContext } from '../../../src/commands/context.ts'
import { describeListenError, runCommand, typedOf } from '../../../src/commands/run.ts'
import { type Environment, parseRunConfig } from '../../../src/config/run-config.ts'

/** The configuration from a command line. */
function configOf(args: readonly string[], environment: Environment = {}) {
  const command = runCommand({ environment } as CommandContext)
  const { operands, unknown } = command.parseOptions([...args])
  expect([...operands, ...unknown]).toEqual([])
  return parseRunConfig(typedOf(command.opts()), environment)
}

describe('runCommand', () => {
  it.each([
    [[], {}, true],
    [['--leader-elect'], {}, true],
    [['--leader-elect=true'], {}, true],
    [['--leader-elect=false'], {}, false],
    [['--no-leader-elect'], {}, false],
    [[], { ENOS_LEADER_ELECT: 'false' }, false],
    [['--leader-elect'], { ENOS_LEADER_ELECT: 'false' }, true],
    [['--no-leader-elect'], { ENOS_LEADER_ELECT: 'true' }, false],
  ])('%j with %j: leader election is %s', (args, environment, isOn) => {
    expect(configOf(args, environment).leaderElect).toBe(isOn)
  })

  it('a list flag may be repeated and may hold commas', () => {
    expect(configOf(['--namespace', 'plant-a', '--namespace=plant-b,plant-c']).namespaces).toEqual([
      'plant-a',
      'plant-b',
      'plant-c',
    ])
  })

  it('flags that are not given come from the environment', () => {
    const environment = { ENOS_LOG_LEVEL: 'debug', ENOS_ALLOWED_GATEWAYS: 'a.example.com,b.example.com' }
    const { allowedGateways, logLevel, maxConcurrentReconciles } = configOf(
      ['--max-concurrent-reconciles=3'],
      environment,
    )
    expect({ allowedGateways, logLevel, maxConcurrentReconciles }).toEqual({
      allowedGateways: ['a.example.com', 'b.example.com'],
      logLevel: 'debug',
      maxConcurrentReconciles: 3,
    })
  })
})

describe('describeListenError', () => {
  const listenError = (code: string, fields: object) =>
    Object.assign(new Error(`listen ${code}`), { code, syscall: 'listen', ...fields })
  const config = {
    metricsBindAddress: { host: undefined, port: 8080 },
    healthProbeBindAddress: { host: '10.0.0.1', port: 8081 },
  }
  const same = { ...config, healthProbeBindAddress: config.metricsBindAddress }

  it.each([
    [
      listenError('EADDRINUSE', { port: 8080 }),
      config,
      '--metrics-bind-address: cannot listen on :8080: the port is in use (EADDRINUSE)',
    ],
    [
      listenError('EACCES', { port: 8081 }),
      config,
      '--health-probe-bind-address: cannot listen on 10.0.0.1:8081: the port needs privileges (EACCES)',
    ],
    [
      listenError('EADDRNOTAVAIL', { port: 8081 }),
      config,
      '--health-probe-bind-address: cannot listen on 10.0.0.1:8081: this machine does not have the address (EADDRNOTAVAIL)',
    ],
    [
      listenError('EADDRINUSE', { port: 8080 }),
      same,
      '--metrics-bind-address and --health-probe-bind-address: cannot listen on :8080: two addresses cannot share a port (EADDRINUSE)',
    ],
    [
      Object.assign(new Error('x'), { code: 'ENOTFOUND', syscall: 'getaddrinfo', hostname: '10.0.0.1' }),
      config,
      '--health-probe-bind-address: cannot listen on 10.0.0.1:8081: unknown host (ENOTFOUND)',
    ],
  ])('names the flag for %s', (error, bindAddresses, message) => {
    expect(describeListenError(error, bindAddresses)?.message).toBe(message)
  })

  it('returns undefined for other errors', () => {
    expect(describeListenError(new Error('x'), config)).toBeUndefined()
    expect(describeListenError(Object.assign(new Error('x'), { syscall: 'open' }), config)).toBeUndefined()
  })
})
