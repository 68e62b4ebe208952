import { assert, describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { createHash } from "node:crypto"
import * as Fs from "node:fs"
import * as Path from "node:path"
import * as PostHogSink from "../../src/testing/PostHogSink.ts"
import { type ApiMode, commandsOf, type Device, Harness, noWorker, type RunOptions, suite } from "./Harness.ts"

// Whatever a user might not want to be known has this word in it; and none of the module's own texts has.
const canary = "canary"

const key = "key-canary-1"

// What a shell, a desktop, a CI runner and a coding agent set, and what a user keeps there.
const variables: Readonly<Record<string, string>> = {
  AI_AGENT: "agent-canary",
  USER: "user-canary",
  LOGNAME: "login-canary",
  HOSTNAME: "host-canary",
  PWD: "/home/user-canary/project-canary",
  SSH_CONNECTION: "address-canary",
  TERM: "term-canary",
  LANG: "lang-canary",
  GITHUB_ACTOR: "actor-canary",
  GITHUB_REPOSITORY: "owner-canary/repository-canary",
  AWS_SECRET_ACCESS_KEY: "secret-canary",
  ACME_TOKEN: "token-canary",
  ACME_USAGE_INVOCATION: "invocation-canary"
}

const ciVariables = { CI_NAME: "ci-canary", BUILD_ID: "build-canary", RUN_ID: "run-canary" }

const badAnswer: ApiMode = { _tag: "Answer", status: 500, body: JSON.stringify({ error: "answer-canary" }) }
const account: ApiMode = { _tag: "Principal", id: "account_a" }

/** Every command of acme, as it is used in earnest; and the mode of the API that it meets. */
const recorded: ReadonlyArray<readonly [args: ReadonlyArray<string>, mode: ApiMode, code: number]> = [
  [["deploy", "name-canary", "--region", "us", "--message", "message-canary"], account, 0],
  [["login", "--no-browser", "--api-key", key], badAnswer, 1],
  [["login", "--no-browser", "--api-key", key], account, 0],
  [["whoami"], account, 0],
  [["whoami"], badAnswer, 1],
  [["deploy", "--message=message-canary", "name-canary"], account, 0],
  [["fail", "--message", "message-canary"], account, 1],
  [["fail", "--defect", "--message", "message-canary"], account, 1],
  [["wait", "5"], account, 0],
  [["logout"], account, 0]
]

const unrecorded: ReadonlyArray<ReadonlyArray<string>> = [
  ["command-canary"],
  ["deploy", "name-canary", "--flag-canary"],
  ["deploy", "name-canary", "--region", "region-canary"],
  ["wait", "number-canary"],
  ["telemetry", "command-canary"],
  ["telemetry", "status", "--flag-canary"]
]

const device = Effect.flatMap(Harness, (harness) => harness.device("home-canary"))

const runAll = Effect.fnUntraced(function*(acme: Device, options: RunOptions) {
  for (const [args, mode, code] of recorded) {
    yield* acme.api.mode(mode)
    assert.strictEqual((yield* acme.run(args, options)).code, code, args.join(" "))
  }
})

const assertSilent = (text: string, where: string): void => {
  assert.notInclude(text.toLowerCase(), canary, where)
  for (const secret of [canary, key, ...Object.values(variables)]) {
    // Neither in another spelling, nor as a hash that anybody can look up.
    assert.notInclude(text, Buffer.from(secret).toString("base64").replace(/.{0,2}=*$/, ""), where)
    assert.notInclude(text, Buffer.from(secret).toString("hex"), where)
    assert.notInclude(text, createHash("sha256").update(secret).digest("hex"), where)
  }
}

const assertNothingTold = (requests: ReadonlyArray<PostHogSink.ReceivedRequest>): void => {
  for (const { body, headers, path } of requests) {
    assertSilent(body, "a body")
    assertSilent(path, "a path")
    assertSilent(JSON.stringify(headers), "headers")
  }
}

const assertNothingKept = Effect.fnUntraced(function*(acme: Device) {
  // A worker that ends removes files.
  yield* noWorker(acme)
  const files = (yield* acme.files).filter((file) => file !== "credentials.yaml")
  for (const file of files) {
    assertSilent(file, "a file's name")
    const path = Path.join(acme.home, file)
    if (Fs.statSync(path).isFile()) assertSilent(Fs.readFileSync(path, "utf8"), file)
  }
  return files
})

const ownProperties = ["duration_ms", "exit_code", "flags_used", "error_class", "user_cancelled"]
const flowProperties = ["flow", "no_browser", "step"]
const commonProperties = `
  invocation_id parent_invocation_id sequence command_name cli_version runtime_language runtime_version
  os_type os_release arch is_ci ci is_tty is_first_run agent schema_version
  $session_id $lib $lib_version $ignore_sent_at $geoip_disable $process_person_profile
`.trim().split(/\s+/)
const declared = [...ownProperties, ...flowProperties, ...commonProperties, "distinct_id", "alias"]

suite("privacy", (test) => {
  describe.concurrent("default properties and files", () => {
    for (const runtime of ["terminal", "pipe", "ci", "container"] as const) {
      test(`No argument, flag value, variable, path or text of an error reaches PostHog (${runtime})`, function*() {
        const acme = yield* device
        yield* runAll(acme, { runtime, env: runtime === "ci" ? { ...variables, ...ciVariables } : variables })
        const messages = yield* acme.delivered(recorded.length)
        assert.lengthOf(commandsOf(messages), recorded.length)
        assertNothingTold(yield* acme.sink.requests)
        yield* assertNothingKept(acme)

        for (const { properties, raw } of messages) {
          assert.sameMembers(Object.keys(JSON.parse(raw)), ["event", "properties", "timestamp", "uuid", "distinct_id"])
          assert.includeMembers(declared, Object.keys(properties))
          // The user's address is personal data too.
          assert.isTrue(properties["$geoip_disable"])
          // That there is an agent is known, not what its variable says.
          assert.strictEqual(properties["agent"], "other")
        }
      })
    }

    test("No argument, flag value, variable, path or text of an error is in a file of telemetry while messages wait", function*() {
      const acme = yield* device
      yield* acme.sink.answer(PostHogSink.Answer.Status({ status: 503 }))
      yield* runAll(acme, { env: variables })
      yield* acme.run(["login", "--no-browser", "--api-key", key], { env: variables })
      const files = yield* assertNothingKept(acme)
      assert.isAbove((yield* acme.status()).pending, recorded.length)
      for (const name of ["usage.json", "usage/known.json"]) assert.include(files, name)
      assert.isTrue(files.some((file) => file.startsWith("usage/claims/")))
      assert.isTrue(files.some((file) => file.includes("/events/")))
    })

    test("No key of the environment is sent or kept", function*() {
      const acme = yield* device
      yield* acme.api.mode(account)
      const env = { ...variables, ACME_API_KEY: key }
      for (const runtime of ["pipe", "terminal", "ci"] as const) {
        assert.strictEqual((yield* acme.run("deploy site", { runtime, env })).code, 0)
      }
      const messages = yield* acme.delivered(3)
      assert.isTrue(messages.every(({ distinct_id }) => distinct_id === "account_a"))
      assertNothingTold(yield* acme.sink.requests)
      assert.include(yield* assertNothingKept(acme), "usage/known.json")
    })

    test("Nothing of a mistyped command line is sent or kept", function*() {
      const acme = yield* device
      for (const args of unrecorded) yield* acme.run(args, { env: variables })
      // A recorded command ends the wait: its event comes after theirs.
      yield* acme.run("deploy site")
      assert.lengthOf(yield* acme.delivered(1), 1)
      assertNothingTold(yield* acme.sink.requests)
      yield* assertNothingKept(acme)
    })
  })
})
