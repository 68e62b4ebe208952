/**
 * Whose events are: logins, logouts and runtimes that keep nothing.
 */
import { assert, describe } from "@effect/vitest"
import * as Persons from "../../src/testing/Persons.ts"
import { aliasesOf, commandsOf, suite } from "./Harness.ts"
import { accountA, accountB, device, isPersonless, login, uuid } from "./Steps.ts"

suite("accounts", (test) => {
  describe.concurrent("claims at a login", () => {
    test("A login merges the device's history into the account with one alias, however often the account logs in", function*() {
      const acme = yield* device
      yield* acme.run("deploy before")
      const { anon_id } = yield* acme.identity
      const { code, stdout } = yield* acme.run(login())
      assert.deepStrictEqual([stdout, code], [`Logged in as ${accountA}\n`, 0])
      assert.deepStrictEqual(yield* acme.identity, { anon_id, linked_principal_id: accountA })
      yield* acme.run("deploy after")
      yield* acme.run("whoami")
      // A login of the same account changes nothing, with the same key and with another.
      yield* acme.run(login())
      yield* acme.run(login("second-key-of-a"))
      assert.deepStrictEqual(yield* acme.identity, { anon_id, linked_principal_id: accountA })

      const messages = yield* acme.delivered(6)
      const [alias, ...others] = aliasesOf(messages)
      assert.deepStrictEqual(others, [])
      assert.strictEqual(alias?.distinct_id, accountA)
      assert.strictEqual(alias?.properties["alias"], anon_id)
      assert.strictEqual(alias?.properties["distinct_id"], accountA)
      assert.notProperty(alias?.properties, "$process_person_profile")
      assert.deepStrictEqual(
        commandsOf(messages).map((message) => [
          message.properties["command_name"],
          message.distinct_id,
          isPersonless(message)
        ]),
        [
          ["deploy", anon_id, true],
          ...["login", "deploy", "whoami", "login", "login"].map((name) => [name, accountA, false])
        ]
      )
      assert.isBelow(
        messages.findIndex(({ event }) => event === "$create_alias"),
        messages.findIndex(({ distinct_id, event }) => distinct_id === accountA && event !== "$create_alias")
      )

      const { dropped, persons, personless, warnings } = Persons.fold(messages)
      assert.deepStrictEqual([dropped, personless, warnings], [[], [], []])
      assert.lengthOf(persons, 1)
      assert.sameMembers([...persons[0]?.distinctIds ?? []], [anon_id, accountA])
      assert.lengthOf(persons[0]?.events ?? [], messages.length)
    })

    test("A login is a flow that starts and ends once, and a login that the API refuses claims nothing", function*() {
      const acme = yield* device
      const { code, stderr } = yield* acme.run(login("key-of-nobody"))
      assert.strictEqual(code, 1)
      assert.include(stderr, "The API key is not valid")
      const { anon_id, linked_principal_id } = yield* acme.identity
      assert.isNull(linked_principal_id)
      yield* acme.run(login())
      const messages = yield* acme.delivered(2)
      const [refused, ended] = commandsOf(messages).map(({ properties }) =>
        messages.filter((message) => message.properties["invocation_id"] === properties["invocation_id"])
          .toSorted((a, b) => Number(a.properties["sequence"]) - Number(b.properties["sequence"]))
      )
      for (const invocation of [refused, ended]) {
        assert.deepStrictEqual(
          invocation?.map(({ properties }) => properties["sequence"]),
          invocation?.map((_, i) => i)
        )
      }
      assert.deepStrictEqual(refused?.map(({ event }) => event), [
        "CLI Auth Started",
        "CLI Auth Failed",
        "CLI execution failed"
      ])
      assert.deepStrictEqual(ended?.map(({ event }) => event), [
        "CLI Auth Started",
        "$create_alias",
        "CLI Auth Completed",
        "CLI execution succeeded"
      ])
      assert.isTrue(refused?.every((message) => message.distinct_id === anon_id && isPersonless(message)))
    })

    test("A login as another account without a logout rotates the anon id, and the accounts stay two persons", function*() {
      const acme = yield* device
      yield* acme.run("deploy before")
      yield* acme.run(login())
      const first = yield* acme.identity
      yield* acme.run(login("key-of-b"))
      const second = yield* acme.identity
      assert.notStrictEqual(second.anon_id, first.anon_id)
      assert.strictEqual(second.linked_principal_id, accountB)
      yield* acme.run("deploy after")

      const messages = yield* acme.delivered(4)
      assert.deepStrictEqual(aliasesOf(messages).map(({ properties }) => properties["alias"]), [first.anon_id])
      const after = commandsOf(messages).at(-1)
      assert.strictEqual(after?.distinct_id, accountB)
      const { persons, warnings } = Persons.fold(messages)
      assert.deepStrictEqual(warnings, [])
      assert.lengthOf(persons, 2)
      assert.isFalse(
        persons.some(({ distinctIds }) => distinctIds.includes(accountA) && distinctIds.includes(accountB))
      )
      assert.sameMembers(
        [...persons.find(({ distinctIds }) => distinctIds.includes(accountA))?.distinctIds ?? []],
        [accountA, first.anon_id]
      )
    })

    test("A login that another tool made is noticed by the next command", function*() {
      const acme = yield* device
      yield* acme.run("deploy before")
      const { anon_id } = yield* acme.identity
      yield* acme.storeKey("key-of-a")
      const { code, stdout } = yield* acme.run("deploy after")
      assert.deepStrictEqual([stdout, code], ["Deployed after to eu\n", 0])
      assert.deepStrictEqual(yield* acme.identity, { anon_id, linked_principal_id: accountA })
      const messages = yield* acme.delivered(2)
      assert.deepStrictEqual(commandsOf(messages).map(({ distinct_id }) => distinct_id), [anon_id, accountA])
      assert.deepStrictEqual(aliasesOf(messages).map(({ properties }) => properties["alias"]), [anon_id])
      // What the key resolved to is remembered.
      yield* acme.run("deploy again")
      assert.lengthOf(acme.api.requests, 1)
    })
  })

  describe.concurrent("rotation at a logout", () => {
    test("A logout is recorded under its account, and the device gets a new anon id that another account can claim", function*() {
      const acme = yield* device
      yield* acme.run(login())
      const before = yield* acme.identity
      const { code, stdout } = yield* acme.run("logout")
      assert.deepStrictEqual([stdout, code], ["Logged out\n", 0])
      const after = yield* acme.identity
      assert.match(after.anon_id, uuid)
      assert.notStrictEqual(after.anon_id, before.anon_id)
      assert.isNull(after.linked_principal_id)
      yield* acme.run("deploy after")
      yield* acme.run(login("key-of-b"))

      const messages = yield* acme.delivered(4)
      assert.deepStrictEqual(
        commandsOf(messages).map((message) => [
          message.event,
          message.properties["command_name"],
          message.distinct_id,
          isPersonless(message)
        ]),
        [
          ["CLI execution succeeded", "login", accountA, false],
          ["CLI execution succeeded", "logout", accountA, false],
          ["CLI execution succeeded", "deploy", after.anon_id, true],
          ["CLI execution succeeded", "login", accountB, false]
        ]
      )
      const last = messages.find(({ properties }) => properties["command_name"] === "deploy")
      const session = last?.properties["$session_id"]
      assert.isFalse(
        messages.some(({ distinct_id, properties }) =>
          distinct_id === accountA && properties["$session_id"] === session
        ),
        "the session went on"
      )
      for (const former of [accountA, before.anon_id]) assert.notInclude(last?.raw ?? "", former)
      assert.deepStrictEqual(
        aliasesOf(messages).map(({ distinct_id, properties }) => [distinct_id, properties["alias"]]),
        [[accountA, before.anon_id], [accountB, after.anon_id]]
      )
      const { persons, warnings } = Persons.fold(messages)
      assert.deepStrictEqual(warnings, [])
      assert.deepStrictEqual(
        persons.map(({ distinctIds }) => distinctIds.toSorted()).toSorted(),
        [[accountA, before.anon_id].toSorted(), [accountB, after.anon_id].toSorted()].toSorted()
      )
    })
  })

  describe.concurrent("CI and containers", () => {
    test("A CI run with a key in its environment is recorded under the account, and writes no identity and no claim", function*() {
      const acme = yield* device
      const { code } = yield* acme.run("deploy site", { runtime: "ci", env: { ACME_API_KEY: "key-of-a" } })
      assert.strictEqual(code, 0)
      // Nothing is waited for: a CI runner kills what is left when the command has ended.
      const messages = yield* acme.sink.messages
      assert.lengthOf(messages, 1)
      assert.strictEqual(messages[0]?.distinct_id, accountA)
      assert.isTrue(messages[0]?.properties["is_ci"])
      assert.isFalse(messages.some(isPersonless))
      const files = yield* acme.files
      assert.notInclude(files, "usage.json")
      assert.isFalse(files.some((file) => file.startsWith("usage/claims/")), files.join(", "))
    })

    test("A first run without a terminal makes an identity but no alias, and the second run claims it", function*() {
      const acme = yield* device
      const options = { runtime: "pipe", env: { ACME_API_KEY: "key-of-a" } } as const
      yield* acme.run("deploy first", options)
      const { anon_id, linked_principal_id } = yield* acme.identity
      assert.isNull(linked_principal_id)
      const first = yield* acme.delivered(1)
      assert.deepStrictEqual(first.map(({ distinct_id, event }) => [event, distinct_id]), [
        ["CLI execution succeeded", accountA]
      ])

      yield* acme.run("deploy second", options)
      assert.deepStrictEqual(yield* acme.identity, { anon_id, linked_principal_id: accountA })
      const messages = yield* acme.delivered(2)
      assert.deepStrictEqual(
        aliasesOf(messages).map(({ distinct_id, properties }) => [distinct_id, properties["alias"]]),
        [[accountA, anon_id]]
      )
    })
  })
})
