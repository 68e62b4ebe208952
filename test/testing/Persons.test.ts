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

const identify = (into: string, other: string | null) => message("$identify", into, { $anon_distinct_id: other })

/** Makes a person identified without a second distinct id that matters. */
const identified = (distinctId: string) => alias(distinctId, `${distinctId}-device`)

const idsOf = (folded: Persons.Folded<unknown>) => folded.persons.map(({ distinctIds }) => [...distinctIds].toSorted())

describe("capture", () => {
  it("A plain event creates a person that is not identified", () => {
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
      warnings: [],
      merges: []
    })
  })

  it("An event creates no person exactly where $process_person_profile is the boolean false", () => {
    const event = personless("anon")
    const folded = Persons.fold([event])
    assert.deepStrictEqual([folded.persons, folded.personless], [[], [event]])
    for (const value of ["false", 0, null, undefined, true]) {
      assert.deepStrictEqual(idsOf(Persons.fold([plain("user", { $process_person_profile: value })])), [["user"]])
    }
  })

  it("A personless event shows under the person that its distinct id got later", () => {
    const events = [personless("anon"), alias("user", "anon"), personless("anon")]
    const folded = Persons.fold(events)
    assert.deepStrictEqual([folded.persons.map(({ events }) => events), folded.personless], [[events], []])
  })

  it("An event belongs to its distinct id cut at 200 characters", () => {
    const folded = Persons.fold([plain("𝕏".repeat(200)), plain("𝕏".repeat(201))])
    assert.deepStrictEqual(idsOf(folded), [["𝕏".repeat(200)]])
  })

  it("The $set of an event sets a property over what is there, $set_once an absent one, and a personless event none", () => {
    const [person] = Persons.fold([
      plain("user", { $set: { plan: "free" }, $set_once: { source: "first" } }),
      plain("user", { $set: { plan: "pro" }, $set_once: { source: "second", city: "Bonn" } }),
      plain("user", { $process_person_profile: false, $set: { plan: "personless" } })
    ]).persons
    assert.deepStrictEqual(person?.properties, { plan: "pro", source: "first", city: "Bonn" })
  })

  it("The $set and $set_once of an event count at the top level of a message too, over those of its properties", () => {
    const event = {
      ...plain("user", { $set: { plan: "free", name: "U" }, $set_once: { source: "inner", city: "Bonn" } }),
      $set: { plan: "pro" },
      $set_once: { source: "outer", plan: "once" }
    }
    const [person] = Persons.fold([event]).persons
    assert.deepStrictEqual(person?.properties, { plan: "pro", name: "U", source: "outer", city: "Bonn" })
  })

  it("The $unset of an event takes a property away, as a list or by the keys of an object, if it was there before the event", () => {
    const properties = (...rest: ReadonlyArray<Persons.Message>) =>
      Persons.fold([plain("user", { $set: { a: 1, b: 2, c: 3 } }), ...rest]).persons[0]?.properties
    assert.deepStrictEqual(properties(plain("user", { $unset: ["a", "none", 1] })), { b: 2, c: 3 })
    assert.deepStrictEqual(properties(plain("user", { $unset: { a: "", c: "" } })), { b: 2 })
    assert.deepStrictEqual(properties(plain("user", { $set: { a: 9, d: 4 }, $unset: ["a", "d"] })), {
      b: 2,
      c: 3,
      d: 4
    })
    assert.deepStrictEqual(properties(personless("user"), plain("user", { $unset: "a" })), { a: 1, b: 2, c: 3 })
    const [created] = Persons.fold([plain("new", { $set: { a: 1 }, $unset: ["a"] })]).persons
    assert.deepStrictEqual(created?.properties, { a: 1 })
  })

  it("An event $groupidentify changes no property of a person", () => {
    const identify = { ...message("$groupidentify", "user", { $set: { a: 1 } }), $set_once: { b: 1 } }
    assert.deepStrictEqual(Persons.fold([identify, identify]).persons[0]?.properties, {})
  })
})

const merges = ["$create_alias", "$identify", "$merge_dangerously"]
const illegal = "cannot_merge_with_illegal_distinct_id"
const refused = "cannot_merge_already_identified"

describe("the rules of $create_alias", () => {
  const table: ReadonlyArray<
    readonly [
      title: string,
      history: ReadonlyArray<Persons.Message>,
      /** The distinct ids of each person; an identified one is marked by a star at the end. */
      persons: ReadonlyArray<string>,
      warnings?: ReadonlyArray<Persons.Warning<Persons.Message>["type"]>
    ]
  > = [
    ["R1: An alias of an id to itself merges nothing and does not identify", [alias("user", "user")], ["user"]],
    [
      "R1: An alias of an id to itself leaves an identified person identified",
      [identified("user"), alias("user", "user")],
      ["user user-device *"]
    ],
    ["R1: Ids that differ in the case of a letter are two, and are merged", [alias("user", "User")], ["User user *"]],
    ["R2: An illegal alias merges nothing", [alias("user", "anonymous")], ["user"], [illegal]],
    [
      "R2: An illegal distinct id merges nothing, and its person exists all the same",
      [personless("anon"), alias("undefined", "anon")],
      ["undefined"],
      [illegal]
    ],
    ["R2: A device of $identify that is null is illegal", [identify("user", null)], ["user"], [illegal]],
    ["R2: An alias that is a number is its text", [message("$create_alias", "user", { alias: 17 })], ["17 user *"]],
    ["R3: Two ids that were not seen become one identified person", [alias("user", "anon")], ["anon user *"]],
    [
      "R3: An id with only personless events was not seen",
      [personless("anon"), personless("user"), alias("user", "anon")],
      ["anon user *"]
    ],
    [
      "R4: Where only the distinct id was seen, the alias joins its person",
      [plain("user"), alias("user", "anon")],
      ["anon user *"]
    ],
    [
      "R4: Where only the alias was seen, the distinct id joins its person",
      [plain("anon"), alias("user", "anon")],
      ["anon user *"]
    ],
    [
      "R4: Where that person is identified, two people become one without a warning",
      [alias("alice", "anon"), alias("bob", "anon")],
      ["alice anon bob *"]
    ],
    [
      "R5: Two ids of one person stay, and the person is identified",
      [alias("user", "anon"), alias("user", "anon"), alias("anon", "user")],
      ["anon user *"]
    ],
    [
      "R6: The alias of an identified person is refused, and the distinct id's person is identified",
      [alias("alice", "anon"), plain("bob"), alias("bob", "anon")],
      ["alice anon *", "bob *"],
      [refused]
    ],
    [
      "R6: An alias that was sent the wrong way round makes the right one fail later",
      [plain("user"), plain("anon"), plain("work"), alias("anon", "user"), alias("work", "anon")],
      ["anon user *", "work *"],
      [refused]
    ],
    [
      "R6: $merge_dangerously is not refused",
      [identified("alice"), identified("bob"), message("$merge_dangerously", "bob", { alias: "alice" })],
      ["alice alice-device bob bob-device *"]
    ],
    [
      "R7: All ids of a person that is not identified move to the distinct id's person",
      [plain("anon"), plain("user"), alias("user", "anon")],
      ["anon user *"]
    ],
    [
      "R7: They move into an identified person, too",
      [alias("user", "first"), plain("second"), alias("user", "second")],
      ["first second user *"]
    ],
    ...["false", 0, null, true].map((profile) =>
      [
        `R8: An alias with $process_person_profile ${JSON.stringify(profile)} is not dropped`,
        [alias("user", "anon", { $process_person_profile: profile })],
        ["anon user *"]
      ] as const
    ),
    [
      "R9: An event that is no merge, and has properties of one, is a plain event",
      [plain("user", { alias: "anon", $anon_distinct_id: "anon" })],
      ["user"]
    ],
    [
      "R9: The property of one merge names no other id in another one",
      [
        message("$identify", "user", { alias: "anon" }),
        message("$create_alias", "user", { $anon_distinct_id: "anon" })
      ],
      ["user"]
    ],
    ...merges.map((event) =>
      [`R9: ${event} that names no other id is a plain event`, [message(event, "user")], ["user"]] as const
    ),
    ...["", null, 0, false].map((alias) =>
      [
        `R9: An alias that is ${JSON.stringify(alias)} is a plain event`,
        [message("$create_alias", "user", { alias })],
        ["user"]
      ] as const
    )
  ]
  for (const [title, history, persons, warnings = []] of table) {
    it(title, () => {
      const folded = Persons.fold(history)
      const last = history.at(-1) ?? assert.fail("no message")
      const ids = folded.persons.map(({ distinctIds, isIdentified }) =>
        [...distinctIds.toSorted(), ...(isIdentified ? ["*"] : [])].join(" ")
      )
      assert.deepStrictEqual(ids, persons)
      assert.deepStrictEqual(folded.warnings, warnings.map((type) => ({ type, message: last })))
      // The last message is its distinct id's, also where it merges nothing.
      const owner = folded.persons.find(({ distinctIds }) => distinctIds.includes(last.distinct_id))
      assert.include(owner?.events ?? [], last)
    })
  }

  it("A message that joined two ids is there with the rule that it did so by, and no other message", () => {
    const { merges, warnings } = Persons.fold([
      alias("alice", "first"),
      alias("alice", "second"),
      alias("bob", "alice"),
      alias("second", "first"),
      plain("third"),
      alias("alice", "third"),
      alias("alice", "alice"),
      alias("alice", "null"),
      plain("carol"),
      alias("carol", "alice")
    ])
    assert.deepStrictEqual(merges.map(({ into, other, rule }) => [rule, into, other]), [
      ["R3", "alice", "first"],
      ["R4", "alice", "second"],
      ["R4", "bob", "alice"],
      ["R5", "second", "first"],
      ["R7", "alice", "third"]
    ])
    assert.lengthOf(warnings, 2)
    assert.deepStrictEqual(merges[4]?.message.properties["alias"], "third")
  })

  it("R7: The distinct id's person stays with the events of both, and with the older created_at", () => {
    const merged = (anon: number, user: number) =>
      Persons.fold([plain("anon", {}, day(anon)), plain("user", {}, day(user)), alias("user", "anon")]).persons[0]
    for (const person of [merged(2, 3), merged(3, 2)]) {
      assert.deepStrictEqual([person?.id, person?.createdAt, person?.events.length], [2, day(2), 3])
    }
  })

  it("R7: The distinct id's properties win, then $set over both, and $set_once fills what is absent", () => {
    const [person] = Persons.fold([
      plain("anon", { $set: { a: "anon", b: "anon", c: "anon" } }),
      plain("user", { $set: { b: "user", c: "user" } }),
      alias("user", "anon", { $set: { c: "alias" }, $set_once: { a: "alias", d: "alias" } })
    ]).persons
    assert.deepStrictEqual(person?.properties, { a: "anon", b: "user", c: "alias", d: "alias" })
  })

  it("R7: $unset takes away a property of either person", () => {
    const [person] = Persons.fold([
      plain("anon", { $set: { a: "anon", b: "anon" } }),
      plain("user", { $set: { c: "user", d: "user" } }),
      alias("user", "anon", { $unset: ["a", "c"] })
    ]).persons
    assert.deepStrictEqual(person?.properties, { b: "anon", d: "user" })
  })

  it("R8: A merge with $process_person_profile false is dropped", () => {
    for (const event of merges) {
      const anonymous = personless("anon")
      const names = { alias: "anon", $anon_distinct_id: "anon" }
      const dropped = message(event, "user", { ...names, $process_person_profile: false })
      assert.deepStrictEqual(Persons.fold([anonymous, dropped]), {
        persons: [],
        personless: [anonymous],
        dropped: [dropped],
        warnings: [{ type: "invalid_event_when_process_person_profile_is_false", message: dropped }],
        merges: []
      })
    }
  })

  it("An event $identify with $anon_distinct_id merges as an alias does", () => {
    const summary = (messages: ReadonlyArray<Persons.Message>) => {
      const { persons, warnings } = Persons.fold(messages)
      return [
        persons.map(({ distinctIds, isIdentified }) => ({ distinctIds, isIdentified })),
        warnings.map(({ type }) => type)
      ]
    }
    const histories = [
      [],
      [plain("user")],
      [plain("anon")],
      [plain("anon"), plain("user")],
      [identified("anon"), plain("user")]
    ]
    for (const history of histories) {
      assert.deepStrictEqual(
        summary([...history, identify("user", "anon")]),
        summary([...history, alias("user", "anon")])
      )
    }
  })
})

describe("illegal distinct ids", () => {
  it("A distinct id is illegal where it is blank, a placeholder, has a NUL, or has more than 400 characters", () => {
    const words = "anonymous Guest DISTINCTID distinct_id iD not_authenticated Email uNdEfInEd TRUE False NaN None none"
    const quoted = ["null", "0", "'null'", "\"0\"", "'Anonymous'", "\"TRUE\""]
    const ids = ["", "   ", "\t\n", "a\0b", "a".repeat(401), "[object Object]", ...words.split(" "), ...quoted]
    assert.deepStrictEqual(ids.filter((id) => !Persons.isIllegalDistinctId(id)), [])
  })

  it("A distinct id is legal otherwise", () => {
    const words = ["user-1", "nan", "NONE", "NULL", "00", "[object object]", "'nan'", "'guest\"", "''", "guests", " id"]
    const ids = [...words, "a".repeat(400), "𝕏".repeat(400)]
    assert.deepStrictEqual(ids.filter(Persons.isIllegalDistinctId), [])
  })
})

describe("invariants", () => {
  const id = Schema.Literals(["a", "b", "c", "d", "e", "null"])
  const step = Schema.Struct({
    event: Schema.Literals(["ran", "$identify", "$create_alias", "$merge_dangerously"]),
    into: id,
    other: id,
    names: Schema.Boolean,
    personless: Schema.Boolean
  })

  it.effect.prop(
    "Any sequence of messages leaves each distinct id in at most one person, and each message in exactly one place",
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
