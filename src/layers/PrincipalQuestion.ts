/**
 * A question to the host's own API: whose is this credential?
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Ref from "effect/Ref"
import { type Credential, isKnown } from "../domain/Credential.ts"
import type { PrincipalId } from "../domain/PrincipalId.ts"
import { PrincipalResolver } from "../services/PrincipalResolver.ts"
import { debug, quietly } from "./Debug.ts"
import { within } from "./Within.ts"

/** The longest that the API is waited for, counted from the question. */
const limit = Duration.seconds(2)

const nobodyKnown = "nobody is known to own the credential"

/**
 * What the API said of a credential; no principal where it said nothing, in time.
 *
 * @category models
 * @since 0.1.0
 */
export interface Answer {
  readonly about: Credential
  readonly principal: PrincipalId | undefined
}

/**
 * Asks in the background, once in a process; `hear` is run with the answer, when it comes.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function*(hear: (answer: Answer) => Effect.Effect<void>) {
  const resolver = yield* PrincipalResolver
  const scope = yield* Effect.scope
  const asked = yield* Ref.make<Fiber.Fiber<void> | undefined>(undefined)
  const answer = yield* Ref.make<Answer | undefined>(undefined)

  const put = Effect.fnUntraced(function*(credential: Credential) {
    const reply = yield* Effect.suspend(() => resolver.resolve(credential)).pipe(
      quietly(nobodyKnown, undefined),
      within(limit)
    )
    const given = { about: credential, principal: Option.getOrUndefined(reply) }
    yield* Ref.set(answer, given)
    yield* hear(given)
  })

  return {
    /** The answer, where it has come. */
    answer: Ref.get(answer),
    /** Asks, unless something was asked already; never about a credential that could be anybody's. */
    ask: Effect.fnUntraced(function*(credential: Credential) {
      if ((yield* Ref.get(asked)) !== undefined) return
      if (!isKnown(credential)) return yield* debug(`${nobodyKnown}: it cannot be read`)
      yield* Ref.set(asked, yield* Effect.forkIn(Effect.interruptible(put(credential)), scope))
    }),
    /** Waits until the answer has come, or its time is over: then, too, it is heard that nobody is known. */
    wait: Effect.gen(function*() {
      const fiber = yield* Ref.get(asked)
      if (fiber === undefined) return
      // In a finalizer nothing is interrupted, but a user who wants to leave must not wait.
      const awaited = yield* Effect.exit(Effect.interruptible(Fiber.await(fiber)))
      if (Exit.isFailure(awaited)) yield* Fiber.interrupt(fiber)
    }),
    /** Wants no answer any more. */
    withdraw: Effect.flatMap(Ref.get(asked), (fiber) => fiber === undefined ? Effect.void : Fiber.interrupt(fiber))
  }
})
