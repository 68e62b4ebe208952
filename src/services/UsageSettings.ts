/** The settings of a host. */
import * as Context from "effect/Context"
import type { Destination } from "../domain/Destination.ts"
import type { IdentityCodec } from "../domain/IdentityCodec.ts"
import type { SomeBounds } from "../domain/OutboxFolder.ts"
import type { StateHome } from "../domain/StateHome.ts"

/**
 * The checked settings of a host.
 *
 * **Details**
 *
 * `Usage.layer` creates them from its options.
 *
 * @category services
 * @since 0.1.0
 */
export class UsageSettings extends Context.Service<UsageSettings, {
  /** The host's name, `acme`. */
  readonly name: string
  /** The host's version, as `--version` prints it. */
  readonly version: string
  /** The prefix of the host's variables, `ACME`. */
  readonly variables: string
  /** The state home as configured. Its root may be relative: then telemetry is off. */
  readonly home: StateHome
  /** The PostHog host and key; undefined without a usable host and key: then telemetry is off. */
  readonly destination: Destination | undefined
  /** Why the configured key or host is not usable. */
  readonly destinationProblem?: string | undefined
  /** The name of the destination's outbox: a hash of host and key, so that staging and production have two outboxes. */
  readonly destinationId: string
  /** The bounds of the outbox. Default: 1,000 messages, 1 MiB and 7 days. */
  readonly bounds?: SomeBounds | undefined
  /** Whether PostHog may derive a location from the IP address. Default: false. */
  readonly geoip?: boolean | undefined
  /** The format of the identity file. */
  readonly codec: IdentityCodec
  /** The text that is printed once to stderr, before the first command on a terminal is recorded. */
  readonly notice?: string | undefined
  /** The maximum time that a command waits for delivery in a short-lived runtime, in milliseconds. At most 1,000. */
  readonly deliveryWaitMillis?: number | undefined
}>()("effect-cli-usage/services/UsageSettings") {}
