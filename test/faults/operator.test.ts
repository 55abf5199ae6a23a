import { operatorFaults } from './cases/operator.ts'
import { playFaults } from './fault-case.ts'

playFaults('The operator', operatorFaults)
