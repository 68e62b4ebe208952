/**
 * The settings of a host.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type { Destination } from "../domain/Destination.ts"
import type { IdentityCodec } from "../domain/IdentityCodec.ts"
import type { SomeBounds } from "../domain/OutboxFolder.ts"
import type { StateHome } from "../domain/StateHome.ts"

/**
 * The settings that the host's author chose, checked.
 *
 * **Details**
 *
 * `Usage.layer` makes them from its options.
 *
 * @category services
 * @since 0.1.0
 */
export class UsageSettings extends Context.Service<UsageSettings, {
  /** The host's name, `acme`. */
  readonly name: string
  /** The host's version, as `--version` prints it. */
  readonly version: string
  /** What the host's variables start with, `ACME`. */
  readonly variables: string
  /** The state home, as configured: its root is absolute unless the user said otherwise. */
  readonly home: StateHome
  /** Where events go; undefined where there is no usable key or host: telemetry is off. */
  readonly destination: Destination | undefined
  /** What is wrong with the key or the host that the author named. */
  readonly destinationProblem?: string | undefined
  /** The name of the destination's outbox: a hash of host and key, so that a staging shell does not drain production. */
  readonly destinationId: string
  /** How much the outbox may hold; 1,000 messages, 1 MiB and 7 days where it is not set. */
  readonly bounds?: SomeBounds | undefined
  /** Whether PostHog may derive a place from the sender's address; it may not where it is not set. */
  readonly geoip?: boolean | undefined
  /** How the identity file is written. */
  readonly codec: IdentityCodec
  /** What the user is told once on stderr, before the first command on a terminal is recorded. */
  readonly notice?: string | undefined
  /** The longest time, in milliseconds, that a command waits for delivery in a short-lived runtime; 1,000 at most. */
  readonly deliveryWaitMillis?: number | undefined
}>()("effect-cli-usage/services/UsageSettings") {}
