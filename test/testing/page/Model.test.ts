/**
 * What the page makes of messages, without a browser.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Model from "../../../src/testing/page/Model.ts"
import * as State from "../../../src/testing/page/State.ts"
import * as Story from "../../../src/testing/page/Story.ts"
import * as Window from "../../../src/testing/page/Window.ts"
import * as Words from "../../../src/testing/page/Words.ts"
import { alias, anon, anonAfterLogout, anonymous, message, refused, story } from "./Messages.ts"

const named = (rows: ReadonlyArray<Model.Row>) => rows.map(({ message }) => message.event)

describe("rows", () => {
  it("A message has its person, its command, its flow with the step, and its sequence", () => {
    const { rows } = Model.derive(story())
    assert.deepStrictEqual(rows.map(({ command, flow, person, sequence }) => [person?.name, command, flow, sequence]), [
      ["account_1", "deploy", "", "0"],
      ["account_1", "build", "", "0"],
      ["account_1", "login", "login", "0"],
      ["account_1", "login", "", "1"],
      ["account_1", "login", "login · code_exchange", "2"],
      ["account_1", "whoami", "", "0"],
      ["account_1", "logout", "", "0"],
      [anonAfterLogout, "deploy", "", "0"]
    ])
  })

  it("A flow without a name of its own is named by its events", () => {
    const { rows } = Model.derive([message("Set Up Aborted", "user", { step: "ask" }), message("Started", "user")])
    assert.deepStrictEqual(rows.map(({ flow }) => flow), ["Set Up · ask", ""])
  })

  it("A message that PostHog refuses or drops has its warning, and one that is dropped has no person", () => {
    const { rows, warnings } = Model.derive(refused())
    assert.deepStrictEqual(
      rows.map(({ isDropped, merge, person, warning }) => [merge?.rule, warning, person?.name, isDropped]),
      [
        ["R3", undefined, "account_1", false],
        [undefined, undefined, "account_2", false],
        [undefined, "cannot_merge_already_identified", "account_2", false],
        [undefined, "cannot_merge_with_illegal_distinct_id", "undefined", false],
        [undefined, "invalid_event_when_process_person_profile_is_false", undefined, true]
      ]
    )
    assert.deepStrictEqual(warnings, rows.slice(2))
  })

  it("Messages from before a merge belong to no account before it, and to the account after it", () => {
    const [first] = Model.derive(story().slice(0, 3)).rows
    assert.deepStrictEqual([first?.person?.name, first?.person?.exists], [anon, false])
    assert.isTrue(Model.derive(story()).rows[0]?.person?.exists)
  })
})

describe("persons", () => {
  it("A person is named by the account, and knows the messages that brought its ids together", () => {
    const { persons } = Model.derive([
      ...story(),
      message("ran", "device"),
      alias("account_1", "device", { $set: { plan: "pro" } })
    ])
    assert.deepStrictEqual(
      persons.map(({ exists, ids, isIdentified, merges, name, properties, rows }) => [
        name,
        ids,
        { exists, isIdentified, properties },
        merges.map(({ merge }) => merge && Words.merged(merge)),
        rows.length
      ]),
      [
        [
          "account_1",
          ["account_1", anon, "device"],
          { exists: true, isIdentified: true, properties: { plan: "pro" } },
          [
            "Neither account_1 nor aaaaaaaa… had a person. PostHog makes one that has both ids.",
            "The person of device becomes part of the person of account_1, with its ids and its history."
          ],
          9
        ],
        [anonAfterLogout, [anonAfterLogout], { exists: false, isIdentified: false, properties: {} }, [], 1]
      ]
    )
  })

  it("A merge of an id without a person joins the person of the other id, and a second merge moves nothing", () => {
    const [person] = Model.derive([
      message("ran", "account_1"),
      alias("account_1", "device"),
      alias("account_1", "device")
    ]).persons
    assert.deepStrictEqual(person?.merges.map(({ merge }) => merge && Words.merged(merge)), [
      "One of account_1 and device had a person. The other id joins it.",
      "account_1 and device were one person already. Nothing moves."
    ])
  })

  it("A person is identified by a merge only, and does not exist before an event with a person", () => {
    const { persons } = Model.derive([
      anonymous("ran", "device_1"),
      message("ran", "device_2"),
      message("ran", "account_1"),
      alias("account_1", "device_3")
    ])
    assert.deepStrictEqual(Object.fromEntries(persons.map((person) => [person.name, Words.kindOf(person)])), {
      device_1: "anonymous, no person yet",
      device_2: "not identified",
      account_1: "identified"
    })
  })

  it("A person with an account that was seen after its device is named by the account", () => {
    const [person] = Model.derive([message("ran", anon), alias("account_1", anon)]).persons
    assert.deepStrictEqual([person?.name, person?.ids], ["account_1", ["account_1", anon]])
  })
})

describe("devices and stories", () => {
  const named = (messages: ReadonlyArray<Model.Received>) => Model.derive(messages).devices.map(Words.deviceName)

  it("A device has the messages that share an anonymous id, a session or a command, the newest device first", () => {
    assert.deepStrictEqual(named(story()), ["bbbbbbbb…", "aaaaaaaa… → account_1"])
    // A session that begins later on an account names no device, and another account is not mixed in.
    const later = message("ran", "account_1", { $session_id: "s3" })
    const other = message("ran", "account_2", { invocation_id: "i1" })
    assert.deepStrictEqual(named([...story(), later, other]), [
      "account_2",
      "account_1",
      "bbbbbbbb…",
      "aaaaaaaa… → account_1"
    ])
    const same = message("ran", "account_2", { invocation_id: "i1", $session_id: "s3" })
    assert.deepStrictEqual(named([...story(), later, other, same])[0], "account_1 → account_2")
  })

  it("Messages that have neither a session nor a command are a device by their ids", () => {
    assert.deepStrictEqual(
      named([message("ran", "device"), alias("account_1", "device"), message("ran", "account_1")]),
      ["device → account_1"]
    )
  })

  const storyOf = (messages: ReadonlyArray<Model.Received>) => {
    const device = Model.derive(messages).devices.at(-1) ?? assert.fail("no device")
    return Story.tell(device).map((item) => {
      switch (item.kind) {
        case "identity":
          return `${item.isAnonymous ? "anonymous" : "account"} ${item.id}, of ${item.belongsTo}`
        case "event":
          return item.row.message.event
        default:
          return `${item.kind} of ${item.other} into ${item.into}: ${Words.turningPoint(item)}`
      }
    })
  }

  it("The story of a device goes from its anonymous id over the merge to the account, in the order of recording", () => {
    const [one, two, started, merge, ...rest] = story()
    // A worker may send the alias before older messages.
    const messages = [one, two, merge, started, ...rest].flatMap((message) => message ?? [])
    assert.deepStrictEqual(storyOf(messages), [
      `anonymous ${anon}, of account_1`,
      "ran",
      "ran",
      "CLI Auth Started",
      `merge of ${anon} into account_1: 3 messages sent before as aaaaaaaa… are account_1’s too.`,
      "CLI Auth Completed",
      "ran",
      "ran"
    ])
  })

  it("The story of a device names each id that it was sent under, and what was refused", () => {
    const session = { $session_id: "s1" }
    const messages = [
      message("ran", "account_1", session),
      ...refused().map((message) => ({ ...message, properties: { ...message.properties, ...session } })),
      anonymous("ran", anonAfterLogout, session)
    ]
    assert.deepStrictEqual(storyOf(messages), [
      "account account_1, of undefined",
      "ran",
      `merge of ${anon} into account_1: The anonymous id had sent nothing here. From now on both ids are one person.`,
      "account account_2, of undefined",
      "ran",
      `refusal of ${anon} into account_2: A merge that PostHog refused. The two ids stay two persons.`,
      `refusal of ${anon} into undefined: An id that PostHog never merges. The two ids stay two persons.`,
      "refusal of device into account_1: A merge that PostHog dropped. The two ids stay two persons.",
      `anonymous ${anonAfterLogout}, of undefined`,
      "ran"
    ])
  })
})

describe("state and filter", () => {
  const { clear, lose, open, pause, receive, resume, shown, waiting } = State

  it("A page that is paused shows what was there, counts what comes, and shows that when it goes on", () => {
    const [first = assert.fail("no message"), ...rest] = story()
    const paused = pause(receive(open(State.initial), [first]))
    const later = receive(paused, rest)
    assert.deepStrictEqual([shown(later), waiting(later)], [[first], 7])
    assert.deepStrictEqual(shown(resume(later)), [first, ...rest])
    const cleared = clear(later)
    assert.deepStrictEqual([shown(cleared), waiting(cleared), waiting(receive(cleared, rest))], [[], 0, 7])
  })

  it("A stream that begins again sends every message again, and the page shows none twice", () => {
    const once = receive(open(State.initial), story())
    assert.deepStrictEqual(shown(receive(open(lose(once)), story())).length, 8)
  })

  it("The filter goes by event, by any id of the person, and by command, and shows the newest first", () => {
    const model = Model.derive(story())
    const filtered = (filter: Partial<State.Filter>) => named(State.filtered(model, { ...State.noFilter, ...filter }))
    assert.lengthOf(filtered({}), 8)
    assert.deepStrictEqual(filtered({ event: " auth " }), ["CLI Auth Completed", "CLI Auth Started"])
    assert.deepStrictEqual(filtered({ command: "LOGIN" }), ["CLI Auth Completed", "$create_alias", "CLI Auth Started"])
    assert.lengthOf(filtered({ person: "account_1" }), 7)
    assert.lengthOf(filtered({ person: "aaaa" }), 7)
    assert.lengthOf(filtered({ person: "bbbb" }), 1)
    assert.deepStrictEqual(filtered({ person: "account_1", command: "deploy", event: "ran" }), ["ran"])
    assert.deepStrictEqual(filtered({ person: "nobody" }), [])
  })

  it("The filter suggests what there is, and at most 50 of it", () => {
    assert.deepStrictEqual(State.suggestions(Model.derive(story())), {
      event: ["ran", "CLI Auth Started", "$create_alias", "CLI Auth Completed"],
      person: ["account_1", anonAfterLogout],
      command: ["deploy", "build", "login", "whoami", "logout"]
    })
    const many = Model.derive(Array.from({ length: 60 }, (_, n) => message(`event ${n}`, `user ${n}`)))
    assert.deepStrictEqual(Object.values(State.suggestions(many)).map(({ length }) => length), [50, 50, 0])
  })

  it("Of ten thousand messages of one device the model, the story and the filter are right", () => {
    const messages = Array.from(
      { length: 10_000 },
      (_, n) => message(`event ${n}`, "account_1", { $session_id: `s${n >> 1}`, invocation_id: `i${(n + 1) >> 1}` })
    )
    const model = Model.derive(messages)
    assert.deepStrictEqual(model.devices.map(({ rows }) => rows.length), [10_000])
    assert.lengthOf(model.devices.flatMap(Story.tell), 10_001)
    assert.deepStrictEqual(named(State.filtered(model, { ...State.noFilter, event: "event 9999" })), ["event 9999"])
  })
})

describe("Window", () => {
  const tops = Window.tops(Array.from({ length: 10_000 }, (_, n) => n % 2 === 0 ? 20 : 40))

  it("Of ten thousand rows those in view are drawn, with a few above and below", () => {
    assert.deepStrictEqual(tops.slice(0, 4), [0, 20, 60, 80])
    assert.deepStrictEqual(Window.visible(tops, 0, 300), { from: 0, to: 17 })
    assert.deepStrictEqual(Window.visible(tops, 6000, 300), { from: 194, to: 217 })
    assert.deepStrictEqual(Window.visible(tops, 299_700, 300), { from: 9984, to: 10_000 })
    assert.deepStrictEqual(Window.visible(Window.tops([]), 0, 300), { from: 0, to: 0 })
  })

  it("A row in focus is scrolled into view, and no farther", () => {
    assert.strictEqual(Window.scrolledTo(tops, 2, 0, 300), 0)
    assert.strictEqual(Window.scrolledTo(tops, 11, 0, 300), 60)
    assert.strictEqual(Window.scrolledTo(tops, 2, 100, 300), 60)
    assert.strictEqual(Window.scrolledTo(tops, 2, 60, 300), 60)
    assert.strictEqual(Window.scrolledTo(tops, 9999, 0, 300), 299_700)
  })
})

describe("Words", () => {
  it("The JSON of a message is shown whole, in pieces, and what a reader cannot see is escaped", () => {
    const value = { "a\"b": ["text: 1, \u202e\\u{a}", 1.5e-7, true, null], nested: { e: [] } }
    const pieces = Words.json(value)
    assert.strictEqual(
      pieces.map(({ text }) => text).join(""),
      JSON.stringify(value, null, 2).replace("\u202e", "\\u{202e}")
    )
    assert.deepStrictEqual(
      pieces.filter(({ kind }) => kind !== "mark").map(({ kind, text }) => [kind, text.replace(/\s*:$/, "")]),
      [
        ["key", "\"a\\\"b\""],
        ["text", "\"text: 1, \\u{202e}\\\\u{a}\""],
        ["value", "1.5e-7"],
        ["value", "true"],
        ["value", "null"],
        ["key", "\"nested\""],
        ["key", "\"e\""]
      ]
    )
  })

  it("JSON of more than 100,000 characters is cut, and says so", () => {
    const text = Words.json({ text: "x".repeat(200_000) }).map(({ text }) => text).join("")
    assert.isBelow(text.length, 100_100)
    assert.match(text, /\n… and \d+ more characters$/)
  })

  it("A long id is shortened, and an invalid time is shown unchanged", () => {
    assert.strictEqual(Words.shortId(anon), "aaaaaaaa…")
    assert.strictEqual(Words.shortId("account_1\u0007"), "account_1\\u{7}")
    assert.lengthOf(Words.shortId("x".repeat(200)), 49)
    assert.match(Words.timeOf("2026-01-01T00:00:00.000Z"), /^\d\d:\d\d:\d\d$/)
    assert.deepStrictEqual([Words.timeOf("soon"), Words.timeOf("")], ["soon", "no time"])
  })
})
