import { objectFaults } from './cases/objects.ts'
import { writerFaults } from './cases/writers.ts'
import { playFaults } from './fault-case.ts'

playFaults('Objects', [...objectFaults, ...writerFaults])
