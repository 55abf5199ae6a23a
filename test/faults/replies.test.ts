import { replyFaults } from './cases/replies.ts'
import { playFaults } from './fault-case.ts'

playFaults('Replies of the gateway', replyFaults)
