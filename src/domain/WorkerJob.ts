/**
 * What a worker is told by its starter: where to look and where to send, and nothing about an event.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { Destination } from "./Destination.ts"
import * as JsonDocument from "./JsonDocument.ts"

/**
 * @category schemas
 * @since 0.1.0
 */
export const WorkerJob = Schema.Struct({
  version: Schema.Literal(1),
  /** The host's name and the start of its variables. */
  name: Schema.String,
  variables: Schema.String,
  home: Schema.String,
  /** The name of the identity file's codec. */
  codec: Schema.Literals(["arcade", "supabase"]),
  destination: Destination,
  destinationId: Schema.String,
  /** Whether the worker waits a while for more. */
  lingers: Schema.Boolean,
  /** The number of the lease that the starter took for the worker. */
  lease: Schema.optionalKey(Schema.Int)
})

/**
 * @category models
 * @since 0.1.0
 */
export interface WorkerJob extends Schema.Schema.Type<typeof WorkerJob> {}

/**
 * The job as a variable's value.
 *
 * @category codecs
 * @since 0.1.0
 */
export const { decode, encode } = JsonDocument.make(() => WorkerJob)
