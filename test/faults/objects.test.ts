import { objectFaults } from './cases/objects.ts'
import { playFaults } from './fault-case.ts'

playFaults('Objects', objectFaults)
