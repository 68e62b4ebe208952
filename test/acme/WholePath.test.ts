import { assert, describe, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import { execFileSync } from "node:child_process"
import * as Fs from "node:fs"
import * as Path from "node:path"
import * as Persons from "../../src/testing/Persons.ts"
import * as PostHogSink from "../../src/testing/PostHogSink.ts"
import { makeSink } from "../fixtures/Wait.ts"
import {
  aliasesOf,
  type ApiMode,
  commandsOf,
  type Device,
  eventually,
  Harness,
  type Run,
  runtimeName,
  runtimeWords
} from "./Harness.ts"

const accountA = "account_a"
const accountB = "account_b"
const isPersonless = (message: PostHogSink.ReceivedMessage) => message.properties["$process_person_profile"] === false
const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

const device = Effect.flatMap(Harness, (harness) => harness.device("device"))

const login = (key = "key-of-a") => `login --no-browser --api-key ${key}`

/** Nothing was recorded: the home was not even made, and nobody asked PostHog. */
const assertUntouched = Effect.fnUntraced(function*({ home, sink }: Device, what: string) {
  assert.isFalse(Fs.existsSync(home), `${what} made the home`)
  assert.deepStrictEqual(yield* sink.requests, [], `${what} sent something`)
})

const decodeBackOff = Schema.decodeEffect(Schema.fromJsonString(Schema.Struct({ until: Schema.Finite })))

/** Where a worker wrote down that it came in vain, and when another may come. */
const backOffFile = ({ home }: Device) =>
  Effect.sync(() => {
    const outbox = Path.join(home, "usage/outbox")
    return Fs.readdirSync(outbox).map((name) => Path.join(outbox, name, "back-off.json"))
      .find((file) => Fs.existsSync(file))
  })

const backedOff = Effect.fnUntraced(function*(file: string | undefined) {
  const { until } = yield* decodeBackOff(Fs.readFileSync(file ?? "", "utf8"))
  yield* eventually(Effect.sync(() => Date.now()), (now) => now > until)
})

layer(Harness.layer, { excludeTestServices: true, timeout: "2 minutes" })("acme", (it) => {
  describe.concurrent("before a login", () => {
    it.effect("a command in a terminal is one personless event of the device", () =>
      Effect.gen(function*() {
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
      }))

    it.effect("from source, without a build, it is the same", () =>
      Effect.gen(function*() {
        const acme = yield* device
        const { code, stderr, stdout } = yield* acme.run("deploy site", { fromSource: true })
        assert.deepStrictEqual([stdout, stderr, code], ["Deployed site to eu\n", "", 0])
        const [message] = yield* acme.delivered(1)
        assert.strictEqual(message?.distinct_id, (yield* acme.identity).anon_id)
      }))

    it.effect("commands of one device share its id and its session, each with an invocation of its own", () =>
      Effect.gen(function*() {
        const acme = yield* device
        for (const name of ["one", "two", "three"]) yield* acme.run(`deploy ${name}`)
        const messages = yield* acme.delivered(3)
        assert.lengthOf(messages, 3)
        assert.deepStrictEqual(messages.map(({ properties }) => properties["is_first_run"]), [true, false, false])
        assert.strictEqual(new Set(messages.map((message) => message.distinct_id)).size, 1)
        assert.strictEqual(new Set(messages.map(({ properties }) => properties["$session_id"])).size, 1)
        assert.strictEqual(new Set(messages.map(({ properties }) => properties["invocation_id"])).size, 3)
        assert.deepStrictEqual(messages.map(({ properties }) => properties["sequence"]), [0, 0, 0])
      }))

    it.effect("a command that fails exits with 1 and is an event without the text of its error or defect", () =>
      Effect.gen(function*() {
        const acme = yield* device
        const failed = yield* acme.run("fail --message canary-of-an-error")
        assert.strictEqual(failed.code, 1)
        assert.include(failed.stderr, "canary-of-an-error")
        assert.strictEqual((yield* acme.run("fail --defect --message canary-of-a-defect")).code, 1)
        const messages = yield* acme.delivered(2)
        const failure = ["CLI execution failed", "DeployError"]
        assert.deepStrictEqual(messages.map(({ event, properties }) => [event, properties["error_class"]]), [
          failure,
          failure
        ])
        for (const { body } of yield* acme.sink.requests) assert.notInclude(body, "canary")
      }))
  })

  describe.concurrent("commands at the same time", () => {
    const six = ["one", "two", "three", "four", "five", "six"]

    it.effect("on a new device agree on one id, and one of them was the first", () =>
      Effect.gen(function*() {
        const acme = yield* device
        yield* Effect.forEach(six, (name) => acme.run(`deploy ${name}`), { concurrency: 6 })
        const messages = yield* acme.delivered(6)
        assert.deepStrictEqual(
          [...new Set(messages.map(({ distinct_id }) => distinct_id))],
          [(yield* acme.identity).anon_id]
        )
        assert.lengthOf(messages.filter(({ properties }) => properties["is_first_run"] === true), 1)
        assert.strictEqual(new Set(messages.map(({ uuid }) => uuid)).size, 6)
      }))

    it.effect("that all find a new key make one alias", () =>
      Effect.gen(function*() {
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
      }))
  })

  describe.concurrent("a login", () => {
    it.effect("merges the device's history into the account with one alias, however often the account logs in", () =>
      Effect.gen(function*() {
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
      }))

    it.effect("is a flow that starts once and ends once, in order; a login that the API refuses claims nothing", () =>
      Effect.gen(function*() {
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
      }))

    it.effect("as another account without a logout rotates the device's id, and the two accounts stay two persons", () =>
      Effect.gen(function*() {
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
      }))

    it.effect("that another tool made is noticed by the next command", () =>
      Effect.gen(function*() {
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
      }))
  })

  describe.concurrent("a logout", () => {
    it.effect("goes out under the account itself; a new device follows, which another account can log in to", () =>
      Effect.gen(function*() {
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
      }))

    it.effect("of nobody changes nothing", () =>
      Effect.gen(function*() {
        const acme = yield* device
        yield* acme.run("deploy before")
        const before = yield* acme.identity
        const { code, stdout } = yield* acme.run("logout")
        assert.deepStrictEqual([stdout, code], ["Not logged in\n", 0])
        assert.deepStrictEqual(yield* acme.identity, before)
      }))
  })

  describe.concurrent("where the disk will not survive", () => {
    it.effect("a CI run with a key in its environment is the account's, and leaves no identity and no claim", () =>
      Effect.gen(function*() {
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
      }))

    it.effect("a CI run on the home of a device that was used before claims nothing either", () =>
      Effect.gen(function*() {
        const acme = yield* device
        yield* acme.run("deploy before")
        const before = yield* acme.identity
        yield* acme.run("deploy site", { runtime: "ci", env: { ACME_API_KEY: "key-of-a" } })
        assert.deepStrictEqual(yield* acme.identity, before)
        const messages = yield* acme.delivered(2)
        assert.deepStrictEqual(messages.map(({ distinct_id }) => distinct_id), [before.anon_id, accountA])
      }))

    it.effect("a CI run that logs in stamps its events, and makes no alias", () =>
      Effect.gen(function*() {
        const acme = yield* device
        yield* acme.run(login(), { runtime: "ci" })
        yield* acme.run("whoami", { runtime: "ci" })
        const messages = yield* acme.sink.messages
        assert.deepStrictEqual(commandsOf(messages).map(({ distinct_id }) => distinct_id), [accountA, accountA])
        assert.deepStrictEqual(aliasesOf(messages), [])
        assert.notInclude(yield* acme.files, "usage.json")
      }))

    it.effect("a container's event is delivered before its first process ends, and no identity is made", () =>
      Effect.gen(function*() {
        const acme = yield* device
        const { code, stdout } = yield* acme.run("deploy site", {
          runtime: "container",
          env: { ACME_API_KEY: "key-of-a" }
        })
        assert.deepStrictEqual([stdout, code], ["Deployed site to eu\n", 0])
        const messages = yield* acme.sink.messages
        assert.deepStrictEqual(messages.map(({ distinct_id }) => distinct_id), [accountA])
        assert.notInclude(yield* acme.files, "usage.json")
      }))

    it.effect("a first run without a terminal makes an identity but no alias, and the second claims it", () =>
      Effect.gen(function*() {
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
      }))

    it.effect("a login on a first run without a terminal is claimed by the next command", () =>
      Effect.gen(function*() {
        const acme = yield* device
        yield* acme.run(login(), { runtime: "pipe" })
        assert.isNull((yield* acme.identity).linked_principal_id)
        yield* acme.run("deploy second", { runtime: "pipe" })
        assert.strictEqual((yield* acme.identity).linked_principal_id, accountA)
        const messages = yield* acme.delivered(2)
        assert.lengthOf(aliasesOf(messages), 1)
        assert.isTrue(commandsOf(messages).every(({ distinct_id }) => distinct_id === accountA))
      }))
  })

  describe.concurrent("nothing is recorded", () => {
    const untracked = [
      "--help",
      "--version",
      "--completions bash",
      "deploy --help",
      "nonsense",
      "deploy",
      "deploy site --region mars",
      "deploy site --unknown",
      "wait soon",
      "telemetry",
      "telemetry nonsense",
      "telemetry status",
      "telemetry status --json",
      "telemetry enable"
    ]
    it.effect("of help, versions, completions, usage errors and the telemetry commands, and no file is made", () =>
      Effect.gen(function*() {
        const acme = yield* device
        // Nor is the API asked whose the key is.
        const env = { ACME_API_KEY: "key-of-a" }
        yield* Effect.forEach(
          untracked,
          (line) => Effect.andThen(acme.run(line, { env }), assertUntouched(acme, line)),
          { concurrency: 3 }
        )
        assert.deepStrictEqual(acme.api.requests, [])
      }))

    const denials: ReadonlyArray<readonly [env: Record<string, string>, decidedBy: string]> = [
      [{ ACME_USAGE_TRACKING: "0" }, "ACME_USAGE_TRACKING"],
      [{ ACME_USAGE_TRACKING: "1", DO_NOT_TRACK: "TRUE" }, "DO_NOT_TRACK"],
      [{ VITEST: "true" }, "test run"],
      [{ ACME_POSTHOG_KEY: "" }, "no key"],
      [{ ACME_POSTHOG_HOST: "http://posthog.example" }, "no key"]
    ]
    it.effect("under a variable that denies, in a test run, and without a key; the status says which", () =>
      Effect.gen(function*() {
        const acme = yield* device
        yield* Effect.forEach(denials, ([env, decidedBy]) =>
          Effect.gen(function*() {
            const { code, stdout } = yield* acme.run("deploy site", { env })
            assert.deepStrictEqual([stdout, code], ["Deployed site to eu\n", 0])
            yield* assertUntouched(acme, JSON.stringify(env))
            assert.deepStrictEqual(yield* acme.status({ env }), {
              enabled: false,
              decided_by: decidedBy,
              anon_id: null,
              principal_id: null,
              pending: 0,
              set_aside: 0,
              last_delivery: null
            })
          }), { concurrency: 3, discard: true })
        yield* assertUntouched(acme, "status")
      }))

    it.effect("to a destination that the author got wrong; the status, `enable` and debug mode say what is wrong", () =>
      Effect.gen(function*() {
        const acme = yield* device
        const mistakes: ReadonlyArray<readonly [env: Record<string, string>, problem: string]> = [
          [{ ACME_POSTHOG_HOST: "us.i.posthog.com" }, "the PostHog host must be a URL such as"],
          [{ ACME_POSTHOG_KEY: "phx_secret" }, "the PostHog key is a personal API key"]
        ]
        for (const [env, problem] of mistakes) {
          const status = yield* acme.run("telemetry status", { env })
          assert.include(status.stdout, `Telemetry is off (${problem}`)
          const enable = yield* acme.run("telemetry enable", { env })
          assert.include(enable.stdout, `Telemetry is still off: ${problem}`)
          assert.strictEqual((yield* acme.status({ env })).decided_by, "no key")
          const { stderr } = yield* acme.run("deploy site", { env: { ...env, ACME_USAGE_DEBUG: "1" } })
          assert.include(stderr, `usage: telemetry is off: ${problem}`)
          assert.notInclude(status.stdout + enable.stdout + stderr, "phx_secret")
        }
        const none = yield* acme.run("telemetry status", { env: { ACME_POSTHOG_KEY: "" } })
        assert.include(none.stdout, "Telemetry is off (no key)")
      }))

    it.effect("of a login under a variable that denies, and only the credential is kept", () =>
      Effect.gen(function*() {
        const acme = yield* device
        const { code } = yield* acme.run(login(), { env: { DO_NOT_TRACK: "1" } })
        assert.strictEqual(code, 0)
        assert.deepStrictEqual(yield* acme.files, ["credentials.yaml"])
        assert.deepStrictEqual(yield* acme.sink.requests, [])
      }))

    it.effect("after `telemetry disable`, which deletes what was kept; `telemetry enable` starts anew", () =>
      Effect.gen(function*() {
        const acme = yield* device
        yield* acme.run("deploy before")
        const { anon_id } = yield* acme.identity
        const before = yield* acme.delivered(1)
        const { code } = yield* acme.run("telemetry disable")
        assert.strictEqual(code, 0)
        assert.deepStrictEqual(yield* acme.files, ["usage/opt-out"])
        yield* acme.run("deploy after")
        yield* acme.run("telemetry disable")
        assert.deepStrictEqual(yield* acme.files, ["usage/opt-out"])
        const { anon_id: none, decided_by, enabled } = yield* acme.status()
        assert.deepStrictEqual([enabled, decided_by, none], [false, "opt-out file", null])
        assert.lengthOf(yield* acme.sink.messages, before.length)

        yield* acme.run("telemetry enable")
        yield* acme.run("deploy again")
        const messages = yield* acme.delivered(2)
        assert.lengthOf(messages, 2)
        assert.notStrictEqual((yield* acme.identity).anon_id, anon_id)
      }))

    it.effect("`telemetry disable` takes back what was not sent yet", () =>
      Effect.gen(function*() {
        const acme = yield* device
        yield* acme.sink.answer(PostHogSink.Answer.Status({ status: 503 }))
        yield* acme.run("deploy before")
        assert.strictEqual((yield* acme.status()).pending, 1)
        yield* acme.run("telemetry disable")
        yield* acme.sink.answer(PostHogSink.Answer.Validate())
        yield* acme.run("telemetry enable")
        yield* acme.run("deploy after")
        const messages = yield* acme.delivered(1)
        assert.lengthOf(messages, 1)
        assert.isTrue(messages[0]?.properties["is_first_run"])
      }))

    it.effect("`telemetry enable` under a variable that denies says that telemetry is still off", () =>
      Effect.gen(function*() {
        const acme = yield* device
        const { stdout } = yield* acme.run("telemetry enable", { env: { DO_NOT_TRACK: "1" } })
        assert.include(stdout, "still off")
        assert.include(stdout, "DO_NOT_TRACK")
      }))

    it.effect("in debug mode with DO_NOT_TRACK=1: a command that would be recorded says why it is not, once", () =>
      Effect.gen(function*() {
        const acme = yield* device
        const env = { ACME_USAGE_DEBUG: "1", DO_NOT_TRACK: "1" }
        const { stderr, stdout } = yield* acme.run("deploy site", { env })
        assert.strictEqual(stdout, "Deployed site to eu\n")
        assert.strictEqual(stderr, "usage: telemetry is off: DO_NOT_TRACK\n")
        assert.match((yield* acme.run("--help", { env })).stderr, /^usage: nothing was tracked: no [^\n]+\n$/)
        const flow = yield* acme.run("login --no-browser --api-key key-of-a", { env })
        assert.strictEqual(flow.stderr, "usage: telemetry is off: DO_NOT_TRACK\n")
        assert.strictEqual((yield* acme.run("deploy site", { env: { DO_NOT_TRACK: "1" } })).stderr, "")
      }))

    it.effect("in debug mode: what fails in the background is told too", () =>
      Effect.gen(function*() {
        const acme = yield* device
        yield* acme.api.mode({ _tag: "Answer", status: 500, body: "" })
        const env = { ACME_API_KEY: "key-of-a" }
        const { stderr } = yield* acme.run("deploy site", { env: { ...env, ACME_USAGE_DEBUG: "1" } })
        assert.include(stderr, "usage: no principal is known for the credential")
        assert.notInclude(stderr, "key-of-a")
        assert.strictEqual((yield* acme.run("deploy site", { env })).stderr, "")
      }))

    it.effect("on disk with ACME_USAGE_DEBUG: each event is printed to stderr, and nothing is sent", () =>
      Effect.gen(function*() {
        const acme = yield* device
        for (const value of ["1", " TRUE ", "yes", "On"]) {
          const { stderr, stdout } = yield* acme.run("deploy site", { env: { ACME_USAGE_DEBUG: value } })
          assert.strictEqual(stdout, "Deployed site to eu\n")
          assert.include(stderr, "\"event\":\"CLI execution succeeded\"")
          yield* assertUntouched(acme, `ACME_USAGE_DEBUG=${value}`)
        }
      }))

    it.effect("on disk in debug mode, on a used device: what is printed is what would be kept, and what waits is told", () =>
      Effect.gen(function*() {
        const acme = yield* device
        const env = { ACME_USAGE_DEBUG: "1" }
        yield* acme.run(login())
        yield* acme.delivered(1)
        yield* eventually(acme.status(), ({ pending }) => pending === 0)
        yield* eventually(acme.workers, ({ length }) => length === 0)
        yield* acme.run("deploy one", { env: { ACME_POSTHOG_HOST: "http://127.0.0.1:9" } })
        const elsewhere = { env: { ...env, ACME_POSTHOG_HOST: "http://127.0.0.1:9" } }
        yield* eventually(acme.workers, ({ length }) => length === 0)
        const before = yield* acme.files
        const asked = acme.api.requests.length

        const { stderr } = yield* acme.run("deploy two", elsewhere)
        const [message] = stderr.trimEnd().split("\n").map((line) => JSON.parse(line))
        assert.deepStrictEqual([message.distinct_id, message.properties.is_first_run], [accountA, false])
        assert.strictEqual(acme.api.requests.length, asked)
        const status = yield* acme.status(elsewhere)
        assert.deepStrictEqual([status.pending, status.principal_id], [1, accountA])
        assert.include((yield* acme.run("telemetry log", elsewhere)).stdout, "\"distinct_id\"")
        const flush = yield* acme.run("telemetry flush", elsewhere)
        assert.deepStrictEqual([flush.code, flush.stdout.includes("kept 1")], [1, true])
        assert.deepStrictEqual(yield* acme.files, before)
      }))
  })

  describe.concurrent("when PostHog does not take messages", () => {
    it.effect("they wait, and the first command after it is back delivers all, in order and each once", () =>
      Effect.gen(function*() {
        const acme = yield* device
        const scope = yield* Scope.make()
        const down = yield* Scope.provide(makeSink(), scope)
        yield* Scope.close(scope, Exit.void)
        const env = { ACME_POSTHOG_HOST: down.url }

        yield* acme.run("deploy one", { env })
        const file = yield* eventually(backOffFile(acme), (file) => file !== undefined)
        yield* acme.run("deploy two", { env })
        const waiting = yield* acme.status({ env })
        assert.deepStrictEqual([waiting.pending, waiting.set_aside, waiting.last_delivery], [2, 0, null])

        // On a slow machine the back-off may be over before the second command, which then starts a worker.
        yield* eventually(acme.workers, ({ length }) => length === 0)
        yield* backedOff(file)
        const up = yield* makeSink({ port: Number(new URL(down.url).port) })
        yield* acme.run("deploy three", { env })
        const messages = yield* up.waitFor(({ length }) => length >= 3)
        yield* eventually(acme.status({ env }), ({ pending }) => pending === 0)
        assert.lengthOf(yield* up.attempts, 3)
        const times = messages.map(({ timestamp }) => timestamp)
        assert.deepStrictEqual(times, times.toSorted())
        assert.strictEqual(new Set(messages.map(({ uuid }) => uuid)).size, 3)
        assert.isNotNull((yield* acme.status({ env })).last_delivery)
      }))

    // PostHogClient.test.ts has every other answer.
    const refusals: ReadonlyArray<readonly [name: string, answer: PostHogSink.Answer]> = [
      ["a captive portal's page", PostHogSink.Answer.NotJson()],
      ["an answer that breaks off", PostHogSink.Answer.Reset({})]
    ]
    it.effect("an answer that takes nothing keeps the message, which is the same when it is sent again", () =>
      Effect.gen(function*() {
        yield* Effect.forEach(refusals, ([name, answer]) =>
          Effect.gen(function*() {
            const acme = yield* device
            yield* acme.sink.answer((_, index) => index === 0 ? answer : PostHogSink.Answer.Validate())
            yield* acme.run("deploy one")
            const file = yield* eventually(backOffFile(acme), (file) => file !== undefined)
            const { pending, set_aside } = yield* acme.status()
            assert.deepStrictEqual([pending, set_aside], [1, 0], name)
            yield* backedOff(file)
            yield* acme.run("deploy two")
            assert.lengthOf(yield* acme.delivered(2), 2, name)
            const [first, second] = (yield* acme.sink.attempts).filter(({ properties }) => properties["is_first_run"])
            assert.strictEqual(second?.raw, first?.raw, name)
          }), { concurrency: 2, discard: true })
      }))
  })

  describe.concurrent("the host", () => {
    const commands = [
      "logout",
      "whoami",
      login("key-of-nobody"),
      login(),
      "whoami",
      "deploy site --region us --message hello",
      "fail",
      "fail --message why",
      "fail --defect --message why",
      "wait 5",
      "wait soon",
      "nonsense",
      "deploy",
      "telemetry",
      "--help",
      "--version",
      "logout",
      "logout"
    ]
    const isRecorded = (line: string) => /^(login|logout|whoami|deploy site|fail|wait 5)/.test(line)
    const inCI = commands.filter((line, n) => isRecorded(line) && commands.lastIndexOf(line) === n)
    // The report of a defect is stamped with the time.
    const seen = ({ code, stderr, stdout }: Run) => ({ stdout: stdout.replace(/^\[[\d:.]+\]/, "[time]"), stderr, code })

    for (const runtime of ["terminal", "ci"] as const) {
      it.effect(`prints and exits the same with telemetry on and off, for every command (${runtime})`, () =>
        Effect.gen(function*() {
          const [on, off] = [yield* device, yield* device]
          for (const line of runtime === "ci" ? inCI : commands) {
            const [first, second] = yield* Effect.all([
              on.run(line, { runtime }),
              off.run(line, { runtime, env: { ACME_USAGE_TRACKING: "0", ACME_API_URL: on.api.url } })
            ], { concurrency: 2 })
            assert.deepStrictEqual(seen(first), seen(second), line)
          }
          assert.isNotEmpty(yield* on.sink.waitFor(({ length }) => length > 0))
          assert.isEmpty(yield* off.sink.requests)
        }))
    }

    it.effect("keeps its stdout to itself when it logs everything: what went wrong is told on stderr", () =>
      Effect.gen(function*() {
        const acme = yield* device
        yield* acme.storeKey("key-of-a")
        yield* acme.api.mode({ _tag: "Answer", status: 500, body: "{}" })
        const { code, stderr, stdout } = yield* acme.run("deploy site --log-level all")
        assert.deepStrictEqual([stdout, code], ["Deployed site to eu\n", 0])
        assert.include(stderr, "usage: no principal is known for the credential: status 500")
      }))

    it.effect("works the same where its home cannot be written", () =>
      Effect.gen(function*() {
        const acme = yield* device
        Fs.writeFileSync(acme.home, "in the way")
        for (const runtime of ["terminal", "pipe", "ci"] as const) {
          const { code, stderr, stdout } = yield* acme.run("deploy site", { runtime })
          assert.deepStrictEqual([stdout, stderr, code], ["Deployed site to eu\n", "", 0])
        }
        assert.strictEqual((yield* acme.run("fail", { runtime: "pipe" })).code, 1)
        assert.strictEqual((yield* acme.status()).decided_by, "unsafe home")
        assert.strictEqual(Fs.readFileSync(acme.home, "utf8"), "in the way")
      }))

    it.effect("works the same where telemetry's own folder cannot be written", () =>
      Effect.gen(function*() {
        const acme = yield* device
        Fs.mkdirSync(acme.home, { mode: 0o700 })
        Fs.writeFileSync(Path.join(acme.home, "usage"), "in the way")
        const { code, stderr, stdout } = yield* acme.run("deploy site")
        assert.deepStrictEqual([stdout, stderr, code], ["Deployed site to eu\n", "", 0])
        assert.deepStrictEqual(yield* acme.files, ["usage"])
      }))

    it.effect("works the same on an identity file that is garbage, which is succeeded once", () =>
      Effect.gen(function*() {
        const acme = yield* device
        Fs.mkdirSync(acme.home, { mode: 0o700 })
        Fs.writeFileSync(Path.join(acme.home, "usage.json"), "{ not json", { mode: 0o600 })
        for (const name of ["one", "two"]) {
          const { code, stderr, stdout } = yield* acme.run(`deploy ${name}`)
          assert.deepStrictEqual([stdout, stderr, code], [`Deployed ${name} to eu\n`, "", 0])
        }
        const messages = yield* acme.delivered(2)
        assert.deepStrictEqual([...new Set(messages.map(({ distinct_id }) => distinct_id))], [
          (yield* acme.identity).anon_id
        ])
      }))

    // HttpPrincipalResolver.test.ts has every other answer.
    const modes: ReadonlyArray<readonly [name: string, mode: ApiMode]> = [
      ["not before the command has ended", { _tag: "Hold" }],
      ["with a 500", { _tag: "Answer", status: 500, body: JSON.stringify({ data: { principal_id: accountA } }) }],
      ["in another shape", { _tag: "Answer", status: 200, body: JSON.stringify({ principal: accountA }) }],
      ["with a placeholder for an id", { _tag: "Principal", id: "undefined" }]
    ]
    it.effect("has its command back, and claims nothing, when its API answers badly or too late", () =>
      Effect.gen(function*() {
        yield* Effect.forEach(modes, ([name, mode]) =>
          Effect.gen(function*() {
            const acme = yield* device
            yield* acme.storeKey("key-of-a")
            yield* acme.api.mode(mode)
            // Only where no answer comes does the resolver's own limit end the wait.
            const { code, stderr, stdout } = yield* acme.run("deploy site", {
              limits: mode._tag === "Hold" ? "own" : "far"
            })
            assert.deepStrictEqual([stdout, stderr, code], ["Deployed site to eu\n", "", 0], name)
            if (mode._tag === "Hold") yield* acme.api.release
            const { anon_id, linked_principal_id } = yield* acme.identity
            assert.isNull(linked_principal_id, name)
            const messages = yield* acme.delivered(1)
            assert.deepStrictEqual(messages.map((message) => [message.distinct_id, isPersonless(message)]), [
              [anon_id, true]
            ], name)
            assert.lengthOf(acme.api.requests, 1, name)
            // That there was no answer is remembered: the next command does not ask.
            yield* acme.run("deploy again")
            assert.lengthOf(acme.api.requests, 1, name)
          }), { concurrency: 3, discard: true })
      }))

    it.effect("ends when it is interrupted while its API hangs, and tells that the user did it", () =>
      Effect.gen(function*() {
        const acme = yield* device
        yield* acme.run("deploy before")
        yield* acme.storeKey("key-of-a")
        // No answer and no limit ends the wait for the API.
        yield* acme.api.mode({ _tag: "Hold" })
        const { code, stdout } = yield* acme.run("wait 60000", {
          runtime: "pipe",
          interruptWhen: () => acme.api.requests.length > 0
        })
        assert.deepStrictEqual([stdout, code], ["", 130])
        const [, message] = yield* acme.delivered(2)
        assert.strictEqual(message?.event, "CLI execution failed")
        assert.strictEqual(message?.properties["command_name"], "wait")
        assert.strictEqual(message?.properties["exit_code"], 130)
        assert.isTrue(message?.properties["user_cancelled"])
      }))

    it.effect("waits for an API that answers when the command's own work is done", () =>
      Effect.gen(function*() {
        const acme = yield* device
        yield* acme.storeKey("key-of-a")
        yield* acme.api.mode({ _tag: "Hold" })
        let hasPrinted = false
        const command = yield* Effect.forkChild(acme.run("deploy site", { onStdout: () => hasPrinted = true }))
        yield* eventually(
          Effect.sync(() => [hasPrinted, acme.api.requests.length]),
          ([printed, requests]) => printed === true && requests === 1
        )
        yield* acme.api.release
        yield* Fiber.join(command)
        assert.strictEqual((yield* acme.identity).linked_principal_id, accountA)
      }))

    it.effect("whose login names a placeholder logs in all the same, and nobody is merged", () =>
      Effect.gen(function*() {
        const acme = yield* device
        yield* acme.api.mode({ _tag: "Principal", id: "undefined" })
        const { code, stdout } = yield* acme.run(login())
        assert.deepStrictEqual([stdout, code], ["Logged in as undefined\n", 0])
        const { anon_id, linked_principal_id } = yield* acme.identity
        assert.isNull(linked_principal_id)
        const messages = yield* acme.delivered(1)
        assert.isTrue(messages.every(({ distinct_id }) => distinct_id === anon_id))
      }))
  })
})
