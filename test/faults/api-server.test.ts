import { apiServerFaults } from './cases/api-server.ts'
import { playFaults } from './fault-case.ts'

playFaults('The API server', apiServerFaults)
