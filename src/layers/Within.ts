/** A limit that holds for what a host brings along. */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Option from "effect/Option"

/**
 * Gives up an effect after a time, one that cannot be interrupted too: it is told to end, and nobody waits for that.
 *
 * `Effect.timeoutOption` alone waits until the effect has ended: a keychain that hangs while it is opened would hold the
 * command.
 */
export const within =
  (limit: Duration.Input) => <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<Option.Option<A>, E, R> =>
    Effect.flatMap(Effect.forkDetach(effect, { startImmediately: true }), (fiber) =>
      Fiber.join(fiber).pipe(
        Effect.timeoutOption(limit),
        Effect.ensuring(Effect.sync(() => fiber.interruptUnsafe()))
      ))
