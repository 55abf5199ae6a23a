import { describe, expect, it, vi } from 'vitest'
import { createLogger } from '../../../src/telemetry/logger.ts'
import { apiObserver, gatewayObserver } from '../../../src/telemetry/observers.ts'

function logged(level: 'debug' | 'info') {
  const lines: Record<string, unknown>[] = []
  const destination = { write: (line: string): void => void lines.push(JSON.parse(line) as Record<string, unknown>) }
  return { log: createLogger({ level, format: 'json', destination }), lines }
}

describe('apiObserver', () => {
  const answer = { call: 'get secrets plant-a/enos-app', method: 'GET', code: '200', host: 'api:6443', durationMs: 3.6 }

  it('apiObserver counts each answer of the API server, and logs it at level debug', () => {
    const onApiAnswer = vi.fn()
    const { lines, log } = logged('debug')
    apiObserver({ onApiAnswer }, log)(answer)
    expect(onApiAnswer).toHaveBeenCalledExactlyOnceWith(answer)
    expect(lines).toEqual([
      {
        level: 'debug',
        time: expect.any(String) as string,
        request: 'get secrets plant-a/enos-app',
        host: 'api:6443',
        code: '200',
        durationMs: 4,
        msg: 'API server answered',
      },
    ])
  })

  it('apiObserver logs nothing at level info', () => {
    const { lines, log } = logged('info')
    apiObserver({ onApiAnswer: vi.fn() }, log)(answer)
    expect(lines).toEqual([])
  })
})

describe('gatewayObserver', () => {
  it('gatewayObserver counts each answer of a gateway, and logs it at level debug', () => {
    const gateways = { onCall: vi.fn(), onClockSkew: vi.fn() }
    const { lines, log } = logged('debug')
    const observer = gatewayObserver({ gateways } as unknown as Parameters<typeof gatewayObserver>[0], log)
    observer.onCall('apim.example.com', 'refresh', 'http_503', 12.3)
    observer.onClockSkew('apim.example.com', 40)
    expect(gateways.onCall).toHaveBeenCalledExactlyOnceWith('apim.example.com', 'refresh', 'http_503', 12.3)
    expect(gateways.onClockSkew).toHaveBeenCalledExactlyOnceWith('apim.example.com', 40)
    expect(lines).toEqual([
      {
        level: 'debug',
        time: expect.any(String) as string,
        host: 'apim.example.com',
        operation: 'refresh',
        code: 'http_503',
        durationMs: 12,
        msg: 'gateway answered',
      },
    ])
  })
})
