import { gatewayFaults } from './cases/gateway.ts'
import { playFaults } from './fault-case.ts'

playFaults('The gateway', gatewayFaults)
