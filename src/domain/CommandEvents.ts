/** The events that every tracked command records. */
import * as Schema from "effect/Schema"
import type { UsageEvent } from "./UsageEvent.ts"

/** The properties of the event of a command that succeeded. */
export interface CommandSucceeded {
  readonly duration_ms: number
  readonly exit_code: number
  readonly flags_used: ReadonlyArray<string>
  readonly flag_values?: Schema.JsonObject
}

/** The properties of the event of a command that failed. */
export interface CommandFailed extends CommandSucceeded {
  readonly error_class?: string
  readonly error_message?: string
  readonly user_cancelled: boolean
}

// The schemas are created at their first use. Every command would create `Schema.JsonObject`, a constant of its module.
const common = () => ({
  duration_ms: Schema.Finite,
  exit_code: Schema.Int,
  flags_used: Schema.Array(Schema.String),
  flag_values: Schema.optionalKey(Schema.Record(Schema.String, Schema.Json))
})

const names = ["duration_ms", "exit_code", "flags_used", "flag_values"]

/**
 * The event of a command whose handler succeeded.
 *
 * Its schema is for the data dictionary only. A command that created it would take 0.8 ms longer.
 */
export const CommandSucceeded: UsageEvent<CommandSucceeded> = {
  name: "CLI execution succeeded",
  description: "A command ended without an error",
  get properties() {
    return Schema.Struct(common())
  },
  ownNames: names
}

/** The event of a command whose handler failed, died or was interrupted. */
export const CommandFailed: UsageEvent<CommandFailed> = {
  name: "CLI execution failed",
  description: "A command ended with an error, or the user cancelled it",
  get properties() {
    return Schema.Struct({
      ...common(),
      error_class: Schema.optionalKey(Schema.String),
      error_message: Schema.optionalKey(Schema.String),
      user_cancelled: Schema.Boolean
    })
  },
  ownNames: [...names, "error_class", "error_message", "user_cancelled"]
}

/** Returns an event with another name; the same event if `name` is undefined. */
export const withName = <P>(event: UsageEvent<P>, name: string | undefined): UsageEvent<P> =>
  name === undefined ? event : {
    name,
    description: event.description,
    // A spread would create the schema.
    get properties() {
      return event.properties
    },
    ownNames: event.ownNames
  }
