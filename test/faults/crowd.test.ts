import { crowdFaults } from './cases/crowd.ts'
import { playFaults } from './fault-case.ts'

// One at a time: the first measures memory, the second time.
playFaults('Many resources', crowdFaults, { isSerial: true })
