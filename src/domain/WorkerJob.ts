/** What a worker is told by its starter: where to look and where to send, and nothing about an event. */
import * as Predicate from "effect/Predicate"
import type { Destination } from "./Destination.ts"
import * as IdentityCodec from "./IdentityCodec.ts"
import * as JsonDocument from "./JsonDocument.ts"

export interface WorkerJob {
  /** The host's name. */
  readonly name: string
  /** The prefix of the host's variables. */
  readonly variables: string
  /** The state home. */
  readonly home: string
  /** The name of the identity file's codec. */
  readonly codec: IdentityCodec.Name
  readonly destination: Destination
  readonly destinationId: string
  /** Whether the worker waits a while for more. */
  readonly lingers: boolean
  /** Whether the last messages that PostHog took are kept for the user; not in CI. */
  readonly keepsSent: boolean
  /** Random: the worker takes over the lease with this id from its starter. */
  readonly id: string
}

/** Decodes the job from a variable's value. */
export const decode = JsonDocument.decoder<WorkerJob>((document) => {
  const { codec, destination, destinationId, home, id, lingers, name, variables, version } = document
  if (version !== 1 || !Predicate.isString(name) || !Predicate.isString(variables) || !Predicate.isString(home)) return
  if (!IdentityCodec.isName(codec) || !Predicate.isString(destinationId) || !Predicate.isBoolean(lingers)) return
  if (!Predicate.isObject(destination) || !Predicate.isString(destination["host"])) return
  if (!Predicate.isString(destination["key"]) || !Predicate.isString(id)) return
  const { host, key } = destination
  return {
    name,
    variables,
    home,
    codec,
    destination: { host, key },
    destinationId,
    lingers,
    // A starter of an earlier version does not name it.
    keepsSent: document["keepsSent"] === true,
    id
  }
})

/** Encodes the job as a variable's value. */
export const encode = (job: WorkerJob): string => JSON.stringify({ version: 1, ...job })
