/**
 * Claims as files that can be made only once: `usage/claims/<anon id>.json`.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type { AnonId } from "../domain/AnonId.ts"
import * as AnonIds from "../domain/AnonId.ts"
import type { UnreadableClaim } from "../domain/Claim.ts"
import * as Claim from "../domain/Claim.ts"
import { type Alias, Claims, type Publication } from "../services/Claims.ts"
import { quietly } from "./Debug.ts"
import { StateFiles } from "./StateFiles.ts"

const published: Publication = { _tag: "Published" }
const unwritable: Publication = { _tag: "Unwritable" }

/**
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.gen(function*() {
  const files = yield* StateFiles
  const { claims } = files.home
  const path = (name: string) => `${claims}/${name}`

  const find = Effect.fnUntraced(function*(
    anonId: AnonId
  ): Effect.fn.Return<Claim.Claim | UnreadableClaim | undefined> {
    const read = yield* files.read(path(`${anonId}.json`))
    if (read._tag === "Missing") return undefined
    const decoded = read._tag === "Text" ? Option.getOrUndefined(Claim.decode(read.text)) : undefined
    if (decoded?.anon_id !== anonId) return Claim.unreadable
    if (decoded.credential === "stored") return decoded
    const stored = yield* files.read(path(`${anonId}.stored`))
    return stored._tag === "Missing" ? decoded : { ...decoded, credential: "stored" }
  })

  const publish = (claim: Claim.Claim): Effect.Effect<Publication> =>
    files.publish(path(`${claim.anon_id}.json`), Claim.encode(claim)).pipe(
      Effect.flatMap((won) =>
        won
          ? Effect.succeed(published)
          : Effect.map(find(claim.anon_id), (claim): Publication => ({
            _tag: "Held",
            claim: claim ?? Claim.unreadable
          }))
      ),
      quietly("a claim could not be published", unwritable)
    )

  const undelivered = Effect.fnUntraced(function*(destination: string) {
    const names = new Set(yield* files.list(claims))
    const waiting: Array<Alias> = []
    for (const name of names) {
      if (!name.endsWith(".json")) continue
      const anonId = AnonIds.decode(name.slice(0, -".json".length))
      if (Option.isNone(anonId)) continue
      if (names.has(`${anonId.value}.delivered`) || names.has(`${anonId.value}.set-aside`)) continue
      const claim = yield* find(anonId.value)
      if (claim === undefined || !Claim.isReadable(claim) || claim.destination !== destination) continue
      if (claim.alias !== null) waiting.push({ _tag: "Alias", anonId: anonId.value, message: claim.alias })
    }
    return waiting
  })

  return Claims.of({
    find,
    publish,
    confirmStored: (anonId) =>
      files.publish(path(`${anonId}.stored`), "").pipe(
        Effect.asVoid,
        quietly("a claim could not be confirmed", undefined)
      ),
    undelivered,
    settle: (anonId, outcome) =>
      files.publish(path(`${anonId}.${outcome}`), "").pipe(
        Effect.asVoid,
        quietly("an alias could not be settled", undefined)
      )
  })
})

/**
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<Claims, never, StateFiles> = Layer.effect(Claims, make)
