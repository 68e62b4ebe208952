import { assert, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import * as Session from "../../src/domain/Session.ts"
import * as Device from "../fixtures/Device.ts"
import * as Arbitraries from "./Arbitraries.ts"

const { anon } = Device

const minute = 60_000
const fresh = "fresh"
const session = { anon_id: anon.a, session_id: "before", last_active: 0 }

/** Times around the limits of 1 and of 30 minutes, before and after. */
const silences = Schema.Int.check(Schema.isBetween({ minimum: -31 * minute, maximum: 31 * minute }))

it.prop(
  "A session continues under its anon id until 30 minutes of silence, a clock that was set back included",
  { silence: silences, anonId: Arbitraries.anonIds, lastActive: Arbitraries.millis },
  ({ anonId, lastActive, silence }) => {
    const before = { ...session, last_active: lastActive }
    const continues = anonId === anon.a && Math.abs(silence) < 30 * minute
    const now = lastActive + silence
    assert.strictEqual(Session.continues(before, anonId, now), continues)
    const after = Session.touch(before, anonId, now, () => fresh)
    if (continues) assert.strictEqual(after, before)
    else assert.deepInclude(after, { anon_id: anonId, session_id: fresh })
  },
  { arbitrary: { runs: 300, size: 2 * minute } }
)

it("A session ends at exactly 30 minutes, and is written again from exactly 1 minute on", () => {
  const limits = [30 * minute - 1, 30 * minute, 1 - 30 * minute, -30 * minute]
  assert.deepStrictEqual(limits.map((now) => Session.continues(session, anon.a, now)), [true, false, true, false])
  const dues = [minute - 1, minute, 1 - minute, -minute]
  assert.deepStrictEqual(dues.map((now) => Session.isDue(session, now)), [false, true, false, true])
})

it("A new session has a new id, is of the anon id, and is due to be written", () => {
  const first = Session.touch(undefined, anon.b, 10 * minute, () => fresh)
  assert.deepInclude(first, { anon_id: anon.b, session_id: fresh })
  assert.isTrue(Session.isDue(first, 10 * minute))
})
