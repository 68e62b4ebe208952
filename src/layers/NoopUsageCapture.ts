/**
 * Capture that records nothing.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { UsageCapture } from "../services/UsageCapture.ts"

/**
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<UsageCapture> = Layer.succeed(
  UsageCapture,
  UsageCapture.of({ capture: () => Effect.void })
)
