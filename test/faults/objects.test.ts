import { objectFaults, spoiledTargets } from './cases/objects.ts'
import { writerFaults } from './cases/writers.ts'
import { playFaults } from './fault-case.ts'

playFaults('Objects', spoiledTargets, { isSerial: true })
playFaults('Objects', [...objectFaults, ...writerFaults])
