import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Persons from "../../src/testing/Persons.ts"

const day = (n: number) => `2026-01-${String(n).padStart(2, "0")}T00:00:00.000Z`

let messagesMade = 0

const message = (
  event: string,
  distinct_id: string,
  properties: Record<string, unknown> = {},
  timestamp = day(1)
): Persons.Message & { readonly uuid: string } => ({
  event,
  distinct_id,
  properties,
  timestamp,
  uuid: String(++messagesMade)
})

const plain = (distinctId: string, properties?: Record<string, unknown>, timestamp?: string) =>
  message("ran", distinctId, properties, timestamp)

const personless = (distinctId: string) => plain(distinctId, { $process_person_profile: false })

const alias = (into: string, other: string, properties: Record<string, unknown> = {}) =>
  message("$create_alias", into, { distinct_id: into, alias: other, ...properties })

const identify = (into: string, other: string) => message("$identify", into, { $anon_distinct_id: other })

/** Makes a person identified without a second distinct id that matters. */
const identified = (distinctId: string) => alias(distinctId, `${distinctId}-device`)

const idsOf = (folded: Persons.Folded<unknown>) => folded.persons.map(({ distinctIds }) => [...distinctIds].toSorted())

const warningsOf = (folded: Persons.Folded<unknown>) => folded.warnings.map(({ type }) => type)

describe("Persons", () => {
  describe("plain events", () => {
    it("create a person that is not identified", () => {
      const event = plain("user")
      assert.deepStrictEqual(Persons.fold([event]), {
        persons: [{
          id: 1,
          distinctIds: ["user"],
          isIdentified: false,
          createdAt: day(1),
          properties: {},
          events: [event]
        }],
        personless: [],
        dropped: [],
        warnings: []
      })
    })

    it("create no person where $process_person_profile is false", () => {
      const event = personless("anon")
      const folded = Persons.fold([event])
      assert.deepStrictEqual(folded.persons, [])
      assert.deepStrictEqual(folded.personless, [event])
    })

    for (const value of ["false", 0, null, undefined, true]) {
      it(`create a person where $process_person_profile is ${JSON.stringify(value)}, which is not the boolean false`, () => {
        const folded = Persons.fold([plain("user", { $process_person_profile: value })])
        assert.deepStrictEqual(idsOf(folded), [["user"]])
      })
    }

    it("that are personless show under the person their distinct id got later", () => {
      const before = personless("anon")
      const merge = alias("user", "anon")
      const after = personless("anon")
      const folded = Persons.fold([before, merge, after])
      assert.deepStrictEqual(folded.persons.map(({ events }) => events), [[before, merge, after]])
      assert.deepStrictEqual(folded.personless, [])
    })

    it("belong to the distinct id cut at 200 characters", () => {
      const folded = Persons.fold([plain("𝕏".repeat(200)), plain("𝕏".repeat(201))])
      assert.deepStrictEqual(idsOf(folded), [["𝕏".repeat(200)]])
    })

    it("set properties: $set over what is there, $set_once only what is absent", () => {
      const [person] = Persons.fold([
        plain("user", { $set: { plan: "free" }, $set_once: { source: "first" } }),
        plain("user", { $set: { plan: "pro" }, $set_once: { source: "second", city: "Bonn" } })
      ]).persons
      assert.deepStrictEqual(person?.properties, { plan: "pro", source: "first", city: "Bonn" })
    })

    it("that are personless set no properties", () => {
      const [person] = Persons.fold([
        plain("user"),
        plain("user", { $process_person_profile: false, $set: { plan: "pro" } })
      ]).persons
      assert.deepStrictEqual(person?.properties, {})
    })
  })

  describe("the rules of $create_alias", () => {
    it("R1: an alias of an id to itself merges nothing and does not identify", () => {
      const folded = Persons.fold([alias("user", "user")])
      assert.deepStrictEqual(idsOf(folded), [["user"]])
      assert.isFalse(folded.persons[0]?.isIdentified)
      assert.deepStrictEqual(folded.warnings, [])
    })

    it("R1: and leaves an identified person identified", () => {
      const folded = Persons.fold([identified("user"), alias("user", "user")])
      assert.isTrue(folded.persons[0]?.isIdentified)
    })

    it("R2: an illegal alias merges nothing, and the event lands on its distinct id's person", () => {
      const event = alias("user", "anonymous")
      const folded = Persons.fold([event])
      assert.deepStrictEqual(idsOf(folded), [["user"]])
      assert.isFalse(folded.persons[0]?.isIdentified)
      assert.deepStrictEqual(folded.persons[0]?.events, [event])
      assert.deepStrictEqual(folded.warnings, [{ type: "cannot_merge_with_illegal_distinct_id", message: event }])
    })

    it("R2: so does an illegal distinct id, whose person exists all the same", () => {
      const folded = Persons.fold([personless("anon"), alias("undefined", "anon")])
      assert.deepStrictEqual(idsOf(folded), [["undefined"]])
      assert.lengthOf(folded.personless, 1)
      assert.deepStrictEqual(warningsOf(folded), ["cannot_merge_with_illegal_distinct_id"])
    })

    it("R2: an alias that is not text is taken as its text", () => {
      assert.deepStrictEqual(warningsOf(Persons.fold([message("$create_alias", "user", { alias: null })])), [
        "cannot_merge_with_illegal_distinct_id"
      ])
      assert.deepStrictEqual(idsOf(Persons.fold([message("$create_alias", "user", { alias: 17 })])), [["17", "user"]])
    })

    it("R3: two ids that were not seen become one identified person", () => {
      const folded = Persons.fold([alias("user", "anon")])
      assert.deepStrictEqual(idsOf(folded), [["anon", "user"]])
      assert.isTrue(folded.persons[0]?.isIdentified)
      assert.deepStrictEqual(folded.warnings, [])
    })

    it("R3: an id with only personless events was not seen", () => {
      const folded = Persons.fold([personless("anon"), personless("user"), alias("user", "anon")])
      assert.deepStrictEqual(idsOf(folded), [["anon", "user"]])
      assert.lengthOf(folded.persons[0]?.events ?? [], 3)
    })

    it("R4: where only the distinct id was seen, the alias joins its person", () => {
      const folded = Persons.fold([plain("user"), alias("user", "anon")])
      assert.deepStrictEqual(idsOf(folded), [["anon", "user"]])
      assert.isTrue(folded.persons[0]?.isIdentified)
    })

    it("R4: where only the alias was seen, the distinct id joins its person", () => {
      const folded = Persons.fold([plain("anon"), alias("user", "anon")])
      assert.deepStrictEqual(idsOf(folded), [["anon", "user"]])
      assert.isTrue(folded.persons[0]?.isIdentified)
    })

    it("R4: also where that person is identified, so two people become one without a warning", () => {
      const folded = Persons.fold([alias("alice", "anon"), alias("bob", "anon")])
      assert.deepStrictEqual(idsOf(folded), [["alice", "anon", "bob"]])
      assert.deepStrictEqual(folded.warnings, [])
    })

    it("R5: two ids of one person stay, and the person is identified", () => {
      const folded = Persons.fold([alias("user", "anon"), alias("user", "anon"), alias("anon", "user")])
      assert.deepStrictEqual(idsOf(folded), [["anon", "user"]])
      assert.isTrue(folded.persons[0]?.isIdentified)
      assert.deepStrictEqual(folded.warnings, [])
    })

    it("R6: the alias of an identified person is refused, and the distinct id's person is identified", () => {
      const event = alias("bob", "anon")
      const folded = Persons.fold([alias("alice", "anon"), plain("bob"), event])
      assert.deepStrictEqual(idsOf(folded), [["alice", "anon"], ["bob"]])
      assert.deepStrictEqual(folded.persons.map(({ isIdentified }) => isIdentified), [true, true])
      assert.deepStrictEqual(folded.warnings, [{ type: "cannot_merge_already_identified", message: event }])
      assert.include(folded.persons[1]?.events ?? [], event)
    })

    it("R6: an alias sent the wrong way round makes the right one fail later", () => {
      const folded = Persons.fold([
        plain("user"),
        plain("anon"),
        plain("work"),
        alias("anon", "user"),
        alias("work", "anon")
      ])
      assert.deepStrictEqual(idsOf(folded), [["anon", "user"], ["work"]])
      assert.deepStrictEqual(warningsOf(folded), ["cannot_merge_already_identified"])
    })

    it("R6: $merge_dangerously is not refused", () => {
      const folded = Persons.fold([
        identified("alice"),
        identified("bob"),
        message("$merge_dangerously", "bob", { alias: "alice" })
      ])
      assert.deepStrictEqual(idsOf(folded), [["alice", "alice-device", "bob", "bob-device"]])
      assert.deepStrictEqual(folded.warnings, [])
    })

    it("R7: all ids of a person that is not identified move to the distinct id's person", () => {
      const folded = Persons.fold([plain("anon"), plain("user"), alias("user", "anon")])
      assert.deepStrictEqual(idsOf(folded), [["anon", "user"]])
      assert.strictEqual(folded.persons[0]?.id, 2)
      assert.isTrue(folded.persons[0]?.isIdentified)
      assert.lengthOf(folded.persons[0]?.events ?? [], 3)
    })

    it("R7: also into an identified person", () => {
      const folded = Persons.fold([alias("user", "first"), plain("second"), alias("user", "second")])
      assert.deepStrictEqual(idsOf(folded), [["first", "second", "user"]])
      assert.deepStrictEqual(folded.warnings, [])
    })

    it("R7: the older created_at stays", () => {
      const createdAt = (anon: number, user: number) =>
        Persons.fold([plain("anon", {}, day(anon)), plain("user", {}, day(user)), alias("user", "anon")])
          .persons[0]?.createdAt
      assert.strictEqual(createdAt(2, 3), day(2))
      assert.strictEqual(createdAt(3, 2), day(2))
    })

    it("R7: the distinct id's properties win, then $set over both, and $set_once fills what is absent", () => {
      const [person] = Persons.fold([
        plain("anon", { $set: { a: "anon", b: "anon", c: "anon" } }),
        plain("user", { $set: { b: "user", c: "user" } }),
        alias("user", "anon", { $set: { c: "alias" }, $set_once: { a: "alias", d: "alias" } })
      ]).persons
      assert.deepStrictEqual(person?.properties, { a: "anon", b: "user", c: "alias", d: "alias" })
    })

    for (const event of ["$create_alias", "$identify", "$merge_dangerously"]) {
      it(`R8: ${event} with $process_person_profile false is dropped`, () => {
        const anonymous = personless("anon")
        const dropped = message(event, "user", {
          alias: "anon",
          $anon_distinct_id: "anon",
          $process_person_profile: false
        })
        assert.deepStrictEqual(Persons.fold([anonymous, dropped]), {
          persons: [],
          personless: [anonymous],
          dropped: [dropped],
          warnings: [{ type: "invalid_event_when_process_person_profile_is_false", message: dropped }]
        })
      })
    }

    for (const event of ["$create_alias", "$identify", "$merge_dangerously"]) {
      it(`R9: ${event} that names no other id is a plain event`, () => {
        const folded = Persons.fold([message(event, "user")])
        assert.deepStrictEqual(idsOf(folded), [["user"]])
        assert.isFalse(folded.persons[0]?.isIdentified)
        assert.deepStrictEqual(folded.warnings, [])
      })
    }
  })

  describe("$identify with $anon_distinct_id", () => {
    const histories: ReadonlyArray<readonly [string, ReadonlyArray<Persons.Message>]> = [
      ["neither seen", []],
      ["the user seen", [plain("user")]],
      ["the anon id seen", [plain("anon")]],
      ["both seen", [plain("anon"), plain("user")]],
      ["the anon id identified", [identified("anon"), plain("user")]]
    ]
    for (const [name, history] of histories) {
      it(`merges as an alias does: ${name}`, () => {
        const summary = (last: Persons.Message) => {
          const folded = Persons.fold([...history, last])
          return {
            ids: idsOf(folded),
            identified: folded.persons.map(({ isIdentified }) => isIdentified),
            warnings: warningsOf(folded)
          }
        }
        assert.deepStrictEqual(summary(identify("user", "anon")), summary(alias("user", "anon")))
      })
    }
  })

  describe("isIllegalDistinctId", () => {
    const illegal = [
      "",
      "   ",
      "\t\n",
      "anonymous",
      "Guest",
      "DISTINCTID",
      "distinct_id",
      "iD",
      "not_authenticated",
      "Email",
      "uNdEfInEd",
      "TRUE",
      "False",
      "[object Object]",
      "NaN",
      "None",
      "none",
      "null",
      "0",
      "'null'",
      "\"0\"",
      "'Anonymous'",
      "\"TRUE\"",
      "a\0b",
      "a".repeat(401)
    ]
    const legal = [
      "user-1",
      "nan",
      "NONE",
      "NULL",
      "00",
      "[object object]",
      "'nan'",
      "'guest\"",
      "''",
      "guests",
      " id",
      "a".repeat(400),
      "𝕏".repeat(400)
    ]
    for (const id of illegal) {
      it(`refuses ${JSON.stringify(id.slice(0, 30))}`, () => assert.isTrue(Persons.isIllegalDistinctId(id)))
    }
    for (const id of legal) {
      it(`takes ${JSON.stringify(id.slice(0, 30))}`, () => assert.isFalse(Persons.isIllegalDistinctId(id)))
    }
  })

  describe("any sequence of messages", () => {
    const id = Schema.Literals(["a", "b", "c", "d", "e", "null"])
    const step = Schema.Struct({
      event: Schema.Literals(["ran", "$identify", "$create_alias", "$merge_dangerously"]),
      into: id,
      other: id,
      names: Schema.Boolean,
      personless: Schema.Boolean
    })

    it.effect.prop(
      "leaves each distinct id in at most one person, and each message in exactly one place",
      { steps: Schema.Array(step) },
      ({ steps }) =>
        Effect.sync(() => {
          const messages = steps.map(({ event, into, names, other, personless }) =>
            message(event, into, {
              ...(names ? { alias: other, $anon_distinct_id: other } : {}),
              ...(personless ? { $process_person_profile: false } : {})
            })
          )
          const { dropped, personless: none, persons } = Persons.fold(messages)

          const ids = persons.flatMap(({ distinctIds }) => distinctIds)
          assert.strictEqual(new Set(ids).size, ids.length)

          const placed = [...persons.flatMap(({ events }) => events), ...none, ...dropped]
          assert.sameMembers(placed.map(({ uuid }) => uuid), messages.map(({ uuid }) => uuid))

          for (const { distinctIds, events } of persons) {
            for (const { distinct_id } of events) assert.include(distinctIds, distinct_id)
          }
          for (const { distinct_id } of none) assert.notInclude(ids, distinct_id)
        }),
      { arbitrary: { runs: 500, size: 30 } }
    )
  })
})
