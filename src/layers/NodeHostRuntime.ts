/**
 * The `HostRuntime` of Node.js, Bun and Deno.
 *
 * @since 0.1.0
 */
import type * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Stdio from "effect/Stdio"
import { HostRuntime } from "../services/HostRuntime.ts"
import * as ContinuousIntegration from "./ContinuousIntegration.ts"
import * as HostFacts from "./HostFacts.ts"

/**
 * Creates the `HostRuntime` of this process.
 *
 * @internal
 */
export const make: Effect.Effect<HostRuntime["Service"], never, Stdio.Stdio> = HostFacts.make(
  ContinuousIntegration.name
)

/**
 * Provides the `HostRuntime` of this process: Node.js, Bun or Deno.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<HostRuntime, never, Stdio.Stdio> = Layer.effect(HostRuntime, make)
