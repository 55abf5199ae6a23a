/** The operations of the token service. */
export const operations = ['get', 'refresh'] as const

/** `get` answers the present token of an appKey, `refresh` exchanges or prolongs it before it expires. */
export type Operation = (typeof operations)[number]
