/** Services that are loaded at their first use. */
import * as Effect from "effect/Effect"
import { IdentityStore } from "../services/IdentityStore.ts"
import { Outbox } from "../services/Outbox.ts"

/** Returns an effect that runs once, at its first use: `Effect.cached` without its cost for what is never used. */
export const once = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> => {
  let cached: Effect.Effect<A, E, R> | undefined
  return Effect.suspend(() => cached ??= Effect.runSync(Effect.cached(effect)))
}

/** Returns an identity store that is loaded at its first use. */
export const storeOf = (store: Effect.Effect<IdentityStore["Service"]>): IdentityStore["Service"] =>
  IdentityStore.of({
    get: Effect.flatMap(store, (store) => store.get),
    refresh: Effect.flatMap(store, (store) => store.refresh),
    check: Effect.flatMap(store, (store) => store.check),
    peek: Effect.flatMap(store, (store) => store.peek),
    claim: (claim) => Effect.flatMap(store, (store) => store.claim(claim)),
    confirmStored: Effect.flatMap(store, (store) => store.confirmStored),
    rotate: Effect.flatMap(store, (store) => store.rotate),
    forget: Effect.flatMap(store, (store) => store.forget),
    discard: Effect.flatMap(store, (store) => store.discard)
  })

/** Returns an outbox that is loaded at its first use. */
export const outboxOf = (outbox: Effect.Effect<Outbox["Service"]>): Outbox["Service"] =>
  Outbox.of({
    add: (message) => Effect.flatMap(outbox, (outbox) => outbox.add(message)),
    backedOffUntil: Effect.flatMap(outbox, (outbox) => outbox.backedOffUntil),
    look: Effect.flatMap(outbox, (outbox) => outbox.look),
    entries: Effect.flatMap(outbox, (outbox) => outbox.entries),
    isEmpty: Effect.flatMap(outbox, (outbox) => outbox.isEmpty),
    has: (invocationId) => Effect.flatMap(outbox, (outbox) => outbox.has(invocationId)),
    delivered: (entries) => Effect.flatMap(outbox, (outbox) => outbox.delivered(entries)),
    remove: (entries) => Effect.flatMap(outbox, (outbox) => outbox.remove(entries)),
    setAside: (entry) => Effect.flatMap(outbox, (outbox) => outbox.setAside(entry)),
    backOff: (reason) => Effect.flatMap(outbox, (outbox) => outbox.backOff(reason)),
    sent: Effect.flatMap(outbox, (outbox) => outbox.sent),
    status: Effect.flatMap(outbox, (outbox) => outbox.status)
  })
