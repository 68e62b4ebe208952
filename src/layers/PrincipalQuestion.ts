/**
 * A question to the host's own API: whose is this credential?
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
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
  const asked = yield* Ref.make<
    { readonly fiber: Fiber.Fiber<void>; readonly credential: Credential; readonly since: number } | undefined
  >(undefined)
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
      const since = yield* Clock.currentTimeMillis
      const fiber = yield* Effect.forkIn(Effect.interruptible(put(credential)), scope)
      yield* Ref.set(asked, { fiber, credential, since })
    }),
    /** Waits for the answer, for what is left of its time; gives the credential that there was none for. */
    wait: Effect.gen(function*() {
      const open = yield* Ref.get(asked)
      if (open === undefined) return undefined
      const left = open.since + Duration.toMillis(limit) - (yield* Clock.currentTimeMillis)
      // In a finalizer nothing is interrupted, but a user who wants to leave must not wait.
      const awaited = yield* Effect.exit(
        Effect.interruptible(Effect.timeoutOption(Fiber.await(open.fiber), Math.max(0, left)))
      )
      if (Exit.isSuccess(awaited) && Option.isSome(awaited.value)) return undefined
      yield* Fiber.interrupt(open.fiber)
      if (Exit.isFailure(awaited)) return undefined
      // Or every command would wait for an API that hangs.
      return open.credential
    }),
    /** Wants no answer any more. */
    withdraw: Effect.flatMap(Ref.get(asked), (open) => open === undefined ? Effect.void : Fiber.interrupt(open.fiber))
  }
})
