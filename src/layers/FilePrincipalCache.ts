/**
 * What is known of credentials, in `usage/credentials.json`; the last writer wins.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Digest from "effect/crypto/Digest"
import * as SecureRandom from "effect/crypto/SecureRandom"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { type Credential, isKnown, key } from "../domain/Credential.ts"
import * as JsonDocument from "../domain/JsonDocument.ts"
import { PrincipalId } from "../domain/PrincipalId.ts"
import { keepsNothing } from "../domain/Runtime.ts"
import { type Known, PrincipalCache } from "../services/PrincipalCache.ts"
import { RuntimeEnvironment } from "../services/RuntimeEnvironment.ts"
import { quietly } from "./Debug.ts"
import { StateFiles } from "./StateFiles.ts"

const credentials = () =>
  Schema.Struct({
    version: Schema.Literal(1),
    salt: Schema.NonEmptyString,
    credentials: Schema.Array(Schema.Struct({
      fingerprint: Schema.NonEmptyString,
      principal_id: Schema.NullOr(PrincipalId),
      at: Schema.Finite
    }))
  })
interface Credentials extends Schema.Schema.Type<ReturnType<typeof credentials>> {}
const Credentials = JsonDocument.make(credentials)

/** How long a credential that nobody could name is not asked about again. */
const noAnswerMillis = 60 * 60 * 1000

// A device has seen a handful of accounts; the oldest are asked about again.
const maxCredentials = 20

/**
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.gen(function*() {
  const files = yield* StateFiles
  const digest = yield* Digest.Digest
  const random = yield* SecureRandom.SecureRandom
  const runtime = yield* RuntimeEnvironment
  const file = files.home.credentials

  const load: Effect.Effect<Credentials> = Effect.gen(function*() {
    return (yield* files.decode(file, Credentials.decode)) ??
      { version: 1, salt: yield* random.uuidV4(), credentials: [] }
  })

  const fingerprint = (salt: string, credential: Credential) =>
    digest.digestHex(Digest.sha256, new TextEncoder().encode(`${salt}\n${key(credential)}`))

  const recall = Effect.fnUntraced(function*(credential: Credential): Effect.fn.Return<Known | undefined> {
    const document = yield* load
    const now = yield* Clock.currentTimeMillis
    const own = yield* fingerprint(document.salt, credential)
    const entry = document.credentials.find((entry) => entry.fingerprint === own)
    if (entry === undefined) return undefined
    if (entry.principal_id !== null) return { _tag: "Principal", principal: entry.principal_id }
    // An entry from the future, after a clock was set back, must not silence the resolver for longer than an hour.
    return Math.abs(now - entry.at) < noAnswerMillis ? { _tag: "NoAnswer" } : undefined
  })

  const remember = Effect.fnUntraced(function*(credential: Credential, principal: PrincipalId | undefined) {
    if (keepsNothing(runtime) || !isKnown(credential)) return
    const document = yield* load
    const at = yield* Clock.currentTimeMillis
    const own = yield* fingerprint(document.salt, credential)
    const known = document.credentials.find((entry) => entry.fingerprint === own)?.principal_id ?? undefined
    // That nobody answered this time does not undo an answer: a response may have named the account meanwhile.
    if (known !== undefined && (principal === undefined || principal === known)) return
    const others = document.credentials.filter((entry) => entry.fingerprint !== own)
    const credentials = [...others, { fingerprint: own, principal_id: principal ?? null, at }].slice(-maxCredentials)
    yield* files.replace(file, Credentials.encode({ ...document, credentials }))
  }, quietly("an answer could not be remembered", undefined))

  return PrincipalCache.of({ recall, remember })
})

/**
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<
  PrincipalCache,
  never,
  StateFiles | Digest.Digest | SecureRandom.SecureRandom | RuntimeEnvironment
> = Layer.effect(PrincipalCache, make)
