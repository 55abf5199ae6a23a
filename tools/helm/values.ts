import { z } from 'zod'

/** Parts of the schema of the chart's values. */

/** A value with a default, which docs and values.yaml show. */
export function value<T extends z.ZodType>(schema: T, initial: z.output<T>, description: string): z.ZodDefault<T> {
  return schema.default(initial as never).describe(description)
}

/** An object in which an unknown key is an error: a misspelt value must not be ignored. */
export function object<T extends z.ZodRawShape>(description: string, shape: T): z.ZodPrefault<z.ZodObject<T>> {
  return z
    .strictObject(shape)
    .prefault({} as never)
    .describe(description)
}

export function switchValue(isOn: boolean, description: string): z.ZodDefault<z.ZodBoolean> {
  return value(z.boolean(), isOn, description)
}

/** Fields of Kubernetes: the API server checks them. */
export function anyObject(): z.ZodRecord<z.ZodString, z.ZodUnknown> {
  return z.record(z.string(), z.unknown())
}

/** A list of objects of Kubernetes, empty by default. */
export function list(description: string): z.ZodDefault<z.ZodArray<ReturnType<typeof anyObject>>> {
  return value(z.array(anyObject()), [], description)
}

/** Labels or annotations, none by default. */
export function stringMap(description: string): z.ZodDefault<z.ZodRecord<z.ZodString, z.ZodString>> {
  return value(z.record(z.string(), z.string()), {}, description)
}

export function port(initial: number, description: string): z.ZodDefault<z.ZodInt> {
  return value(z.int().min(1).max(65_535), initial, description)
}

/** A name of an object, or nothing. */
export function resourceName(maxLength: number): z.ZodString {
  return z
    .string()
    .max(maxLength)
    .regex(/^([a-z0-9]([-a-z0-9.]*[a-z0-9])?)?$/)
}
