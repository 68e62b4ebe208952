/**
 * What acme records of a command.
 */
import { assert, describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { execFileSync } from "node:child_process"
import * as Persons from "../../src/testing/Persons.ts"
import { aliasesOf, commandsOf, runtimeName, runtimeWords, suite } from "./Harness.ts"
import { accountA, device, uuid } from "./Steps.ts"

suite("recording", (test) => {
  describe.concurrent("anonymous devices", () => {
    test("A command in a terminal before a login is one personless event of the device", function*() {
      const acme = yield* device
      const { code, stderr, stdout } = yield* acme.run("deploy site --region us --message hello")
      assert.deepStrictEqual([stdout, stderr, code], ["Deployed site to us\n", "", 0])

      const { anon_id, linked_principal_id } = yield* acme.identity
      assert.match(anon_id, uuid)
      assert.isNull(linked_principal_id)
      const messages = yield* acme.delivered(1)
      assert.lengthOf(messages, 1)
      const [message] = messages
      assert.strictEqual(message?.event, "CLI execution succeeded")
      assert.strictEqual(message?.distinct_id, anon_id)
      assert.match(message?.uuid ?? "", uuid)
      const { $session_id, duration_ms, invocation_id, os_release, os_type, runtime_version, ...rest } = {
        ...message?.properties
      }
      assert.deepStrictEqual(rest, {
        command_name: "deploy",
        exit_code: 0,
        flags_used: ["message", "region"],
        sequence: 0,
        cli_version: "1.2.3",
        runtime_language: runtimeName,
        arch: process.arch,
        is_ci: false,
        is_tty: true,
        is_first_run: true,
        schema_version: 1,
        $lib: "effect-cli-usage",
        $lib_version: rest["$lib_version"],
        $ignore_sent_at: true,
        $geoip_disable: true,
        $process_person_profile: false
      })
      assert.match(String($session_id), uuid)
      assert.match(String(invocation_id), uuid)
      assert.isAtLeast(Number(duration_ms), 0)
      const [program = ""] = runtimeWords
      const printed = execFileSync(program, ["--version"], { encoding: "utf8" })
      assert.strictEqual(runtime_version, /\d+(\.\d+)+/.exec(printed)?.[0])
      assert.isTrue([os_type, os_release].every((value) => typeof value === "string" && value !== ""))
      assert.deepStrictEqual(Persons.fold(messages).persons, [])
    })
  })

  describe.concurrent("concurrency", () => {
    const six = ["one", "two", "three", "four", "five", "six"]

    test("Commands at the same time on a new device agree on one anon id, and exactly one is the first run", function*() {
      const acme = yield* device
      yield* Effect.forEach(six, (name) => acme.run(`deploy ${name}`), { concurrency: 6 })
      const messages = yield* acme.delivered(6)
      assert.deepStrictEqual(
        [...new Set(messages.map(({ distinct_id }) => distinct_id))],
        [(yield* acme.identity).anon_id]
      )
      assert.lengthOf(messages.filter(({ properties }) => properties["is_first_run"] === true), 1)
      assert.strictEqual(new Set(messages.map(({ uuid }) => uuid)).size, 6)
    })

    test("Commands at the same time that all find a new key make one alias", function*() {
      const acme = yield* device
      yield* acme.run("deploy before")
      const { anon_id } = yield* acme.identity
      yield* acme.storeKey("key-of-a")
      yield* Effect.forEach(six, (name) => acme.run(`deploy ${name}`), { concurrency: 6 })
      assert.deepStrictEqual(yield* acme.identity, { anon_id, linked_principal_id: accountA })
      const messages = yield* acme.delivered(7)
      assert.lengthOf([...new Set(aliasesOf(messages).map(({ raw }) => raw))], 1)
      assert.deepStrictEqual(
        commandsOf(messages).map(({ distinct_id }) => distinct_id).toSorted(),
        [anon_id, ...six.map(() => accountA)].toSorted()
      )
    })
  })
})
