import { gatewayFaults } from './cases/gateway.ts'
import { networkFaults } from './cases/network.ts'
import { playFaults } from './fault-case.ts'

playFaults('The gateway', [...gatewayFaults, ...networkFaults])
