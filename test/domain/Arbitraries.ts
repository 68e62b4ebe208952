/**
 * Generated values of the domain.
 */
import * as Arbitrary from "effect/Arbitrary"
import * as Schema from "effect/Schema"
import type { BackOff } from "../../src/domain/BackOff.ts"
import type { Claim } from "../../src/domain/Claim.ts"
import type { Known } from "../../src/domain/Known.ts"
import type { Message } from "../../src/domain/Message.ts"
import type { WorkerJob } from "../../src/domain/WorkerJob.ts"
import type { Lease } from "../../src/layers/Lease.ts"
import * as Device from "../fixtures/Device.ts"
import { jsonObject } from "../fixtures/Json.ts"

const { anon, P, Q } = Device

const hour = 60 * 60 * 1000

export const millis = Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: -hour, maximum: 1000 * hour })))

const boolean = Arbitrary.schema(Schema.Boolean)

export const anonIds = Arbitrary.schema(Schema.Literals(Object.values(anon)))

export const principalIds = Arbitrary.map(
  Arbitrary.schema(Schema.Literals(["P", "Q", "other"])),
  (name) => name === "P" ? P : name === "Q" ? Q : Device.principalId("Ünï'ted \"1\"")
)

const sources = Arbitrary.schema(Schema.Literals(["stored", "environment", "none"]))
const sightings = Arbitrary.schema(Schema.Literals(["login", "observe", "resolver", "adopted"]))

const text = Arbitrary.schema(Schema.NonEmptyString)

const hex = (length: number): Arbitrary.Arbitrary<string> =>
  Arbitrary.map(
    Arbitrary.array(Arbitrary.schema(Schema.Literals([..."0123456789abcdef"])), {
      minLength: length,
      maxLength: length
    }),
    (digits) => digits.join("")
  )

const uuids = Arbitrary.map(hex(32), (digits) => digits.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-"))

const optional = <A>(value: Arbitrary.Arbitrary<A>): Arbitrary.Arbitrary<A | undefined> =>
  Arbitrary.map(Arbitrary.all({ isThere: boolean, value }), ({ isThere, value }) => isThere ? value : undefined)

/** Messages with any properties. */
export const messages: Arbitrary.Arbitrary<Message> = Arbitrary.all({
  event: text,
  properties: jsonObject,
  timestamp: text,
  uuid: uuids,
  distinct_id: text
})

/** Claims with and without an alias. */
export const claims: Arbitrary.Arbitrary<Claim> = Arbitrary.map(
  Arbitrary.all({
    anon_id: anonIds,
    principal_id: principalIds,
    learned_by: sightings,
    credential: sources,
    alias: optional(messages)
  }),
  ({ alias, ...claim }) => ({
    version: 1,
    ...claim,
    destination: alias === undefined ? null : Device.destinationId,
    alias: alias ?? null
  })
)

/** Caches with any of their parts. */
export const caches: Arbitrary.Arbitrary<Known> = Arbitrary.all({
  salt: uuids,
  session: optional(Arbitrary.all({ anon_id: anonIds, session_id: anonIds, last_active: millis })),
  input: optional(Arbitrary.all({ hash: hex(64), source: sources, fingerprint: hex(64) })),
  credentials: Arbitrary.array(
    Arbitrary.all({
      fingerprint: hex(64),
      principal_id: Arbitrary.map(optional(principalIds), (id) => id ?? null),
      at: millis
    }),
    { maxLength: 20 }
  )
})

export const backOffs: Arbitrary.Arbitrary<BackOff> = Arbitrary.map(
  Arbitrary.all({
    attempts: Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 1000 }))),
    until: millis,
    reason: optional(text)
  }),
  ({ reason, ...backOff }) => reason === undefined ? backOff : { ...backOff, reason }
)

export const jobs: Arbitrary.Arbitrary<WorkerJob> = Arbitrary.all({
  name: text,
  home: text,
  codec: Arbitrary.schema(Schema.Literals(["arcade", "supabase"])),
  destination: Arbitrary.all({ host: text, key: text }),
  destinationId: text,
  lingers: boolean,
  keepsSent: boolean,
  maxAgeMillis: Arbitrary.map(Arbitrary.all([boolean, millis]), ([isBound, age]) => isBound ? age : Infinity),
  id: text
})

export const leases: Arbitrary.Arbitrary<Lease> = Arbitrary.all({
  until: millis,
  id: text,
  boots: boolean,
  process: text
})
