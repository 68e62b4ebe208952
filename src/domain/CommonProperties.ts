/**
 * The properties of every event. An event's own properties cannot override them.
 *
 * Only the data dictionary needs this schema. `Recorder` creates the values.
 */
import * as Schema from "effect/Schema"

export const CommonProperties = Schema.Struct({
  invocation_id: Schema.String,
  parent_invocation_id: Schema.optionalKey(Schema.String),
  sequence: Schema.Int,
  command_name: Schema.optionalKey(Schema.String),
  cli_version: Schema.String,
  runtime_language: Schema.String,
  runtime_version: Schema.String,
  os_type: Schema.String,
  os_release: Schema.String,
  arch: Schema.String,
  is_ci: Schema.Boolean,
  is_tty: Schema.Boolean,
  is_first_run: Schema.Boolean,
  agent: Schema.optionalKey(Schema.String),
  ci: Schema.optionalKey(Schema.String),
  schema_version: Schema.Literal(1),
  $session_id: Schema.String,
  $groups: Schema.optionalKey(Schema.Record(Schema.String, Schema.String)),
  $process_person_profile: Schema.optionalKey(Schema.Literal(false)),
  $geoip_disable: Schema.Boolean,
  $ignore_sent_at: Schema.Literal(true),
  $lib: Schema.String,
  $lib_version: Schema.String
})

/**
 * The properties of every event.
 *
 * @category models
 * @since 0.1.0
 */
export interface CommonProperties extends Schema.Schema.Type<typeof CommonProperties> {}
