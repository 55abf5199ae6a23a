import { crowdFaults } from './cases/crowd.ts'
import { playFaults } from './fault-case.ts'

// One at a time: the first case measures memory, the second measures time.
playFaults('Many resources', crowdFaults, { isSerial: true })
