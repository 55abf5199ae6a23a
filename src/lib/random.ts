/** A number in [0, 1), as handed to everything that jitters. */
export type Random = () => number

export const systemRandom: Random = () => Math.random()
