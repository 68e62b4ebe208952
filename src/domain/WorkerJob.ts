/** The job of a worker: the state home, the destination and the lease. It has no event. */
import * as Predicate from "effect/Predicate"
import type { Destination } from "./Destination.ts"
import * as IdentityCodec from "./IdentityCodec.ts"
import * as JsonDocument from "./JsonDocument.ts"

export interface WorkerJob {
  /** The host's name. */
  readonly name: string
  /** The state home. */
  readonly home: string
  /** The name of the identity file's codec. */
  readonly codec: IdentityCodec.Name
  readonly destination: Destination
  readonly destinationId: string
  /** Whether the worker waits for more messages before it ends. */
  readonly lingers: boolean
  /** Whether the last sent messages are kept for `telemetry log --sent`. False in CI. */
  readonly keepsSent: boolean
  /** The maximum age of a message of any destination; infinite if there is none, or an earlier version wrote the job. */
  readonly maxAgeMillis: number
  /** The random id of the lease that the starter acquires for the worker. */
  readonly id: string
}

/** Decodes a job from the value of a variable. */
export const decode = JsonDocument.decoder<WorkerJob>((document) => {
  const { codec, destination, destinationId, home, id, lingers, name, version } = document
  if (version !== 1 || !Predicate.isString(name) || !Predicate.isString(home)) return
  if (!IdentityCodec.isName(codec) || !Predicate.isString(destinationId) || !Predicate.isBoolean(lingers)) return
  if (!Predicate.isObject(destination) || !Predicate.isString(destination["host"])) return
  if (!Predicate.isString(destination["key"]) || !Predicate.isString(id)) return
  const { host, key } = destination
  return {
    name,
    home,
    codec,
    destination: { host, key },
    destinationId,
    lingers,
    // An earlier version does not write this field.
    keepsSent: document["keepsSent"] === true,
    maxAgeMillis: JsonDocument.isNumber(document["maxAgeMillis"])
      ? document["maxAgeMillis"]
      : Number.POSITIVE_INFINITY,
    id
  }
})

/** Encodes a job as the value of a variable. */
export const encode = (job: WorkerJob): string => JSON.stringify({ version: 1, ...job })
