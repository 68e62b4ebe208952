/**
 * The lease as files that can be made only once, a number higher each time: `lease-<n>`.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as JsonDocument from "../domain/JsonDocument.ts"
import * as OutboxFolder from "../domain/OutboxFolder.ts"
import { UsageSettings } from "../services/UsageSettings.ts"
import { WorkerLease } from "../services/WorkerLease.ts"
import { quietly } from "./Debug.ts"
import { StateFiles } from "./StateFiles.ts"

const Held = JsonDocument.make(() => Schema.Struct({ until: Schema.Finite }))

/** A lease that ends later than this was made before the clock was set back: its worker is dead. */
const longestMillis = 10_000

const prefix = "lease-"

/**
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.gen(function*() {
  const files = yield* StateFiles
  const { destinationId } = yield* UsageSettings
  const { root } = OutboxFolder.make(files.home, destinationId)

  const newest = Effect.map(files.list(root), (names) =>
    names.reduce((highest, name) => {
      const number = name.startsWith(prefix) ? Number(name.slice(prefix.length)) : 0
      return Number.isSafeInteger(number) ? Math.max(highest, number) : highest
    }, 0))

  const isLive = Effect.fnUntraced(function*(number: number) {
    if (number === 0) return false
    const held = yield* files.decode(`${root}/${prefix}${number}`, Held.decode)
    if (held === undefined) return false
    const left = held.until - (yield* Clock.currentTimeMillis)
    return left > 0 && left <= longestMillis
  })

  // A worker takes over by the next number, and then removes the one before: a look in between finds neither.
  const isHeld: Effect.Effect<boolean> = Effect.gen(function*() {
    const seen = yield* newest
    return (yield* isLive(seen)) || ((yield* newest) !== seen && (yield* isHeld))
  })

  return WorkerLease.of({
    isHeld,
    acquire: Effect.fnUntraced(function*(life: number, takesOver?: number) {
      const last = yield* newest
      if (last !== takesOver && (yield* isLive(last))) return undefined
      const until = (yield* Clock.currentTimeMillis) + Math.min(life, longestMillis)
      const own = `${root}/${prefix}${last + 1}`
      const won = yield* files.publish(own, Held.encode({ until })).pipe(quietly("the lease could not be taken", false))
      if (!won) return undefined
      // The one before it, dead or taken over, has served: its number has been counted on.
      if (last > 0) yield* quietly("a dead lease stays", undefined)(files.remove(`${root}/${prefix}${last}`))
      // Numbers restart, so a file of this name may be another's.
      const stands = Effect.map(files.decode(own, Held.decode), (held) => held?.until === until)
      return {
        number: last + 1,
        stands,
        release: Effect.gen(function*() {
          // After its end another may take it over, and remove it.
          if ((yield* Clock.currentTimeMillis) < until && (yield* stands)) yield* files.remove(own)
        }).pipe(quietly("the lease stays", undefined))
      }
    })
  })
})

/**
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<WorkerLease, never, StateFiles | UsageSettings> = Layer.effect(WorkerLease, make)
