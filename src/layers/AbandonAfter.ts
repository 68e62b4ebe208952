/** A time limit for effects of the host. */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Option from "effect/Option"

/** Waits for a fiber until a time limit, and interrupts it then in the background. */
export const joinWithin =
  (limit: Duration.Input) => <A, E>(fiber: Fiber.Fiber<A, E>): Effect.Effect<Option.Option<A>, E> =>
    Fiber.join(fiber).pipe(
      Effect.timeoutOption(limit),
      Effect.ensuring(Effect.sync(() => fiber.interruptUnsafe()))
    )

/**
 * Returns none after a time limit, also for an effect that cannot be interrupted: it is interrupted in the background.
 *
 * `Effect.timeoutOption` alone waits until the effect has ended, so a keychain that hangs would block the command.
 */
export const abandonAfter =
  (limit: Duration.Input) => <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<Option.Option<A>, E, R> =>
    Effect.flatMap(Effect.forkDetach(effect, { startImmediately: true }), joinWithin(limit))
