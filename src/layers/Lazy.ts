/** Services that are loaded at their first use. */
import * as Effect from "effect/Effect"
import type { IdentityStore } from "../services/IdentityStore.ts"
import type { Outbox } from "../services/Outbox.ts"

/** Returns an effect that runs once, at its first use: `Effect.cached` without its cost for what is never used. */
export const once = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> => {
  let cached: Effect.Effect<A, E, R> | undefined
  return Effect.suspend(() => cached ??= Effect.runSync(Effect.cached(effect)))
}

// The members of a service that are functions.
type Methods<S> = { readonly [Name in keyof S as S[Name] extends Effect.Effect<unknown> ? never : Name]: true }

const lazily = <S extends object>(service: Effect.Effect<S>, methods: Methods<S>): S =>
  new Proxy(Object.create(null), {
    get: (_, name) =>
      name in methods
        ? (...args: ReadonlyArray<unknown>) =>
          Effect.flatMap(service, (service: object) => Reflect.get(service, name)(...args))
        : Effect.flatMap(service, (service: object) => Reflect.get(service, name))
  })

/** Returns an identity store that is loaded at its first use. */
export const storeOf = (store: Effect.Effect<IdentityStore["Service"]>): IdentityStore["Service"] =>
  lazily(store, { claim: true })

/** Returns an outbox that is loaded at its first use. */
export const outboxOf = (outbox: Effect.Effect<Outbox["Service"]>): Outbox["Service"] =>
  lazily(outbox, { add: true, has: true, delivered: true, remove: true, setAside: true, backOff: true })
