/** Services that are loaded at their first use. */
import * as Effect from "effect/Effect"
import type { IdentityStore } from "../services/IdentityStore.ts"
import type { Outbox } from "../services/Outbox.ts"

/**
 * Returns an effect that runs once, at its first use: `Effect.cached` without its cost for what is never used.
 *
 * It is not interruptible: `Effect.cached` runs an interrupted effect again, and that of Effect 4.0.0 caches the
 * interruption, which would be the exit of every later command.
 */
export const once = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> => {
  let cached: Effect.Effect<A, E, R> | undefined
  return Effect.uninterruptible(Effect.suspend(() => cached ??= Effect.runSync(Effect.cached(effect))))
}

// The members of a service; true for a function.
type Members<S> = { readonly [Name in keyof S]: S[Name] extends Effect.Effect<unknown> ? false : true }

// The members are made when they are asked for: most commands ask for none.
const lazily = <S extends object>(service: Effect.Effect<S>, members: Members<S>): S =>
  new Proxy(Object.assign(Object.create(null), members), {
    get: (_, name) =>
      !Object.hasOwn(members, name)
        ? undefined
        : Reflect.get(members, name)
        ? (...args: ReadonlyArray<unknown>) =>
          Effect.flatMap(service, (service: object) => Reflect.get(service, name)(...args))
        : Effect.flatMap(service, (service: object) => Reflect.get(service, name))
  })

/** Returns an identity store that is loaded at its first use. */
export const storeOf = (store: Effect.Effect<IdentityStore["Service"]>): IdentityStore["Service"] =>
  lazily(store, {
    get: false,
    refresh: false,
    check: false,
    peek: false,
    claim: true,
    confirmStored: false,
    rotate: false,
    forget: false,
    discard: false
  })

/** Returns an outbox that is loaded at its first use. */
export const outboxOf = (outbox: Effect.Effect<Outbox["Service"]>): Outbox["Service"] =>
  lazily(outbox, {
    add: true,
    backedOffUntil: false,
    look: false,
    entries: false,
    isEmpty: false,
    has: true,
    delivered: true,
    remove: true,
    setAside: true,
    backOff: true,
    sent: false,
    status: false
  })
