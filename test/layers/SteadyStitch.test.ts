/**
 * The steady path: what it reads, in which order, what it never remembers, and when it hands over.
 */
import { assert, describe } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/testing/TestClock"
import * as ChildProcess from "node:child_process"
import * as NFS from "node:fs"
import * as Path from "node:path"
import * as Claim from "../../src/domain/Claim.ts"
import { supabase } from "../../src/domain/IdentityCodec.ts"
import * as HttpPrincipalResolver from "../../src/layers/HttpPrincipalResolver.ts"
import * as NodeDisk from "../../src/layers/NodeDisk.ts"
import type { Disk } from "../../src/services/Disk.ts"
import { PrincipalResolver } from "../../src/services/PrincipalResolver.ts"
import * as Device from "../fixtures/Device.ts"
import * as FaultyDisk from "../fixtures/FaultyDisk.ts"
import { test } from "../fixtures/Tests.ts"
import type { Owner, Scene, SceneOptions } from "../stitch/Command.ts"
import { account, device, identityFiles, loaded, now, own, ownerOf, scene, start, steady } from "../stitch/Command.ts"

const { anon, claimOf, P, Q } = Device

/** Records an event in a new command; returns who it belongs to, and whether the command was steady. */
const recorded = Effect.fnUntraced(function*({ start }: Pick<Scene, "start">, options?: Device.ProcessOptions) {
  const command = yield* start(options)
  yield* command.begin
  const owner = yield* command.owner
  const isSteady = (yield* command.loads) === 0
  yield* command.end
  return { owner, isSteady }
})

const isSteadyAs = (owner: Owner) => ({ owner, isSteady: true })

/** Writes a file in place, with the length, the times and the inode that it had. */
const rewrite = (file: string, change: (text: string) => string) => {
  const { atime, ino, mtime, size } = NFS.statSync(file)
  NFS.writeFileSync(file, change(NFS.readFileSync(file, "utf8")), { flag: "r+" })
  NFS.utimesSync(file, atime, mtime)
  const after = NFS.statSync(file)
  // Node.js 22 sets a time to the microsecond before.
  assert.deepStrictEqual([after.ino, Math.round(after.mtimeMs), after.size], [ino, mtime.getTime(), size])
}

describe("equivalence with the full stitch", () => {
  test("A steady command loads nothing, and writes its event and the session, which it touches once a minute", function*() {
    const { home, start } = yield* scene(steady, { loggedIn: P })
    const written: Array<string> = []
    const disk = FaultyDisk.interposed(({ operation, path }) => {
      const isChange = !["read", "look", "follow", "list", "access"].includes(operation)
      if (isChange && !path.includes("/usage/tmp/")) written.push(`${operation} ${Path.relative(home.home, path)}`)
    })
    const before = identityFiles(home)
    assert.deepStrictEqual(yield* recorded({ start }, { disk }), isSteadyAs(account(P)))
    const events = written.splice(0).map((change) => change.replace(/[^/]+\.json$/, ""))
    assert.deepStrictEqual(events, [`rename usage/outbox/${Device.destinationId}/events/`])
    yield* TestClock.adjust("1 minute")
    assert.deepStrictEqual(yield* recorded({ start }, { disk }), isSteadyAs(account(P)))
    assert.deepStrictEqual(written.slice(1), ["rename usage/known.json"])
    assert.deepStrictEqual(identityFiles(home), before)
  })

  const claims: ReadonlyArray<SceneOptions> = [
    {},
    { claim: { principal_id: P } },
    { claim: { principal_id: P, credential: "none" } },
    { claim: { principal_id: Q } }
  ]
  const inputs = [undefined, Device.stored("key"), Device.environment("key")]
  const runtimes = ["persistent", "no terminal", "container with a terminal"] as const
  const cases = claims.flatMap((claim) =>
    inputs.flatMap((credential) =>
      [undefined, P].flatMap((answer) => runtimes.map((runtime) => ({ claim, credential, answer, runtime })))
    )
  )

  test("A steady command records what the whole path records on a copy of the home, and changes nothing else", function*() {
    let compared = 0
    for (const { answer, claim, credential, runtime } of cases) {
      const all = yield* scene(steady, { ...claim, credential })
      if (credential !== undefined) yield* all.home.remember(credential, answer, all.api)
      const copy = yield* Device.make
      NFS.cpSync(all.home.home, copy.home, { recursive: true })
      const { isSteady, record } = yield* all.start({ runtime })
      const message = yield* record
      if (!(yield* isSteady)) continue
      compared += 1
      const { layer } = yield* Device.makeApi({ credential })
      const other = yield* (yield* start(copy, { resolver: layer, runtime })).record
      assert(message && other)
      const recordedBy = ({ properties, timestamp, ...rest }: typeof message) => {
        const { $session_id: _, invocation_id: __, ...common } = properties
        return [ownerOf({ properties, timestamp, ...rest }), timestamp, common]
      }
      const what = JSON.stringify({ claim, source: credential?.source, answer, runtime })
      assert.deepStrictEqual(recordedBy(message), recordedBy(other), what)
      assert.deepStrictEqual(identityFiles(all.home), identityFiles(copy), what)
    }
    // All but those that claim, switch, sign out, or note that a claim is that of a stored credential.
    assert.strictEqual(compared, 48)
  })
})

describe("changed file contents", () => {
  const ofNobody = { principal_id: P, credential: "none" } as const
  const ofVariable = { principal_id: P, credential: "environment" } as const
  const variable = Device.environment("key")
  const cases: ReadonlyArray<{
    readonly file: string
    readonly before: SceneOptions
    readonly rewritten: readonly [from: string, to: string]
    readonly owners: readonly [before: Owner, after: Owner]
  }> = [
    {
      file: "../credentials",
      before: { claim: { principal_id: P }, credential: Device.stored("key") },
      rewritten: ["key", "yek"],
      owners: [account(P), own]
    },
    { file: "usage.json", before: {}, rewritten: [anon.a, anon.b], owners: [device(anon.a), device(anon.b)] },
    {
      file: `usage/claims/${anon.a}.json`,
      before: { claim: ofNobody },
      rewritten: [P, Q],
      owners: [account(P), account(Q)]
    },
    {
      file: "usage/known.json",
      before: { claim: ofVariable, credential: variable },
      rewritten: [P, Q],
      owners: [account(P), account(Q)]
    }
  ]

  test.each(cases)("A change of $file in place is noticed, whatever its times", function*(given) {
    const { before, file, owners, rewritten } = given
    const all = yield* scene(steady, before)
    if (before.credential !== undefined) yield* all.home.remember(before.credential, P, all.api)
    assert.deepStrictEqual(yield* recorded(all), { owner: owners[0], isSteady: true })
    rewrite(all.home.at(file), (text) => text.replaceAll(...rewritten))
    assert.deepStrictEqual((yield* recorded(all)).owner, owners[1])
  })
})

describe("write-once files", () => {
  const facts: ReadonlyArray<{
    readonly fact: string
    readonly claim?: SceneOptions["claim"]
    readonly file: string
    readonly text: string
    /** Who the next command belongs to, and the next event of the same command. */
    readonly after: readonly [command: Owner | "a new anon id", event: Owner]
  }> = [
    {
      fact: "a successor",
      file: `usage/successors/${anon.a}.json`,
      text: Device.successorText(anon.b),
      after: [device(anon.b), device(anon.a)]
    },
    {
      fact: "a claim",
      file: `usage/claims/${anon.a}.json`,
      text: Claim.encode(claimOf(anon.a, Q, { credential: "none" })),
      after: [account(Q), device(anon.a)]
    },
    {
      fact: "the note that the claim is that of a stored credential",
      claim: { principal_id: P, credential: "environment" },
      file: `usage/claims/${anon.a}.stored`,
      text: "",
      after: ["a new anon id", account(P)]
    }
  ]

  test.each(facts)("A steady command notices $fact that appears between two commands", function*(given) {
    const { after, claim, file, text } = given
    const all = yield* scene(steady, claim === undefined ? {} : { claim })
    assert.isTrue((yield* recorded(all)).isSteady)
    const before = all.home.text("usage.json")
    yield* all.home.write(file, text)
    assert.strictEqual(all.home.text("usage.json"), before)
    const { isSteady, owner } = yield* recorded(all)
    assert.isFalse(isSteady)
    const expected = after[0] === "a new anon id" ? device(String(all.home.pointer()["anon_id"])) : after[0]
    assert.deepStrictEqual(owner, expected)
    assert.notDeepEqual(owner, account(P))
  })

  test.each(facts)(
    "A steady command notices $fact that appears between two events, and keeps its owner",
    function*({ after, claim, fact, file, text }) {
      const { home, start } = yield* scene(steady, claim === undefined ? {} : { claim })
      const { loads, owner } = yield* start()
      yield* owner
      assert.strictEqual(yield* loads, 0)
      yield* home.write(file, text)
      assert.deepStrictEqual(yield* owner, after[1])
      // The command stays that of its first credential, so the note changes nothing for it.
      assert.strictEqual(yield* loads, fact.startsWith("the note") ? 0 : 1)
    }
  )
})

// == the cache

const fifo = (path: string) => ChildProcess.execFileSync("mkfifo", [path])

/** What may be in the place of the cache; each gets the text of one that is valid. */
const caches: Record<string, (path: string, text: string) => void> = {
  "empty": (path) => NFS.writeFileSync(path, ""),
  "torn": (path, text) => NFS.writeFileSync(path, text.slice(0, -1)),
  "larger than 1 MiB": (path, text) => NFS.writeFileSync(path, text + " ".repeat(10 * 1024 * 1024)),
  "of a newer version": (path, text) => NFS.writeFileSync(path, text.replace("\"version\":1", "\"version\":2")),
  "with an illegal principal": (path, text) => NFS.writeFileSync(path, text.replaceAll(P, "undefined")),
  "a folder": (path) => NFS.mkdirSync(path),
  ...(process.platform === "win32" ? {} : {
    "a link to a valid one": (path: string, text: string) => {
      NFS.writeFileSync(`${path}.target`, text)
      NFS.symlinkSync(`${path}.target`, path)
    },
    "a FIFO": fifo
  })
}

/** A disk on which the cache belongs to another user. */
const ofAnotherUser: Disk = {
  ...NodeDisk.disk,
  read: (path, options) =>
    NodeDisk.disk.read(
      path,
      path.endsWith("known.json") && options?.owner !== undefined ? { ...options, owner: options.owner + 1 } : options
    ),
  look: (path) => {
    const entry = NodeDisk.disk.look(path)
    return typeof entry === "string" || !path.endsWith("known.json") ? entry : { ...entry, uid: (entry.uid ?? 0) + 1 }
  }
}

describe("usage/known.json", () => {
  test.each(Object.entries(caches))("A cache that is %s counts as absent and blocks nothing", function*([, put]) {
    const all = yield* scene(steady, { loggedIn: P })
    all.api.accounts.clear()
    const path = all.home.at("usage/known.json")
    const text = all.home.text("usage/known.json") ?? ""
    NFS.rmSync(path)
    put(path, text)
    assert.deepStrictEqual(yield* recorded(all), { owner: own, isSteady: false })
  })

  test("A cache that belongs to another user counts as absent", function*() {
    const all = yield* scene(steady, { loggedIn: P })
    all.api.accounts.clear()
    const before = all.home.text("usage/known.json")
    assert.deepStrictEqual(yield* recorded(all, { disk: ofAnotherUser }), { owner: own, isSteady: false })
    assert.notStrictEqual(all.home.text("usage/known.json"), before)
  })

  test.each([
    { what: "configuration", credential: Device.stored("key") },
    { what: "audience", credential: { ...Device.stored("key"), audience: "https://api.example.com" } }
  ])("The cache does not apply to a host with another $what in the same home", function*({ credential }) {
    const all = yield* scene(steady, { loggedIn: P })
    const input = all.api.input?.() ?? assert.fail()
    const other = Layer.succeed(PrincipalResolver, {
      input: {
        ...input,
        configuration: "https://api.example.com",
        parse: () => Effect.succeed(credential)
      },
      credential: Effect.succeed(undefined),
      resolve: () => Effect.succeed(undefined)
    })
    assert.deepStrictEqual(yield* recorded(all, { resolver: other }), { owner: own, isSteady: false })
    assert.deepStrictEqual((yield* recorded(all)).owner, account(P))
  })

  test("The cache is written after an event only", function*() {
    const { home, start } = yield* scene(steady, { credential: Device.stored("key") })
    const command = yield* start({ cold: loaded })
    yield* command.begin
    yield* command.settle
    assert.isUndefined(home.text("usage/known.json"))
    yield* command.record
    assert.isDefined(home.text("usage/known.json"))
  })
})

describe("clock, variables and platform", () => {
  test("A clock that is set back does not end the identity, nor the session if it is less than 30 minutes", function*() {
    const { start } = yield* scene(steady, { loggedIn: P })
    const sessions: Array<unknown> = []
    for (const minutes of [0, -20, -120]) {
      yield* TestClock.setTime(now + minutes * 60_000)
      const command = yield* start()
      const message = yield* command.record
      assert.deepStrictEqual(message && ownerOf(message), account(P))
      assert.isTrue(yield* command.isSteady)
      assert.strictEqual(message?.timestamp, new Date(now + minutes * 60_000).toISOString())
      sessions.push(message?.properties["$session_id"])
    }
    assert.strictEqual(sessions[1], sessions[0])
    assert.notStrictEqual(sessions[2], sessions[1])
  })

  test("A credential without an answer is sent to the API again after the clock was set back by an hour", function*() {
    const all = yield* scene(steady, { credential: Device.stored("key") })
    yield* all.home.remember(Device.stored("key"), undefined, all.api)
    assert.isTrue((yield* recorded(all)).isSteady)
    yield* TestClock.setTime(now - 60 * 60_000)
    const command = yield* all.start()
    yield* command.begin
    yield* command.settle
    assert.deepStrictEqual(all.api.calls, ["key"])
  })

  test("A variable that becomes empty is another input, which the resolver parses", function*() {
    const all = yield* scene(steady, { loggedIn: P })
    const other = all.api.input?.() ?? assert.fail()
    yield* all.api.set(Device.environment(""))
    assert.deepStrictEqual(yield* recorded(all), { owner: own, isSteady: false })
    assert.notStrictEqual(JSON.stringify(all.api.input?.().variables), JSON.stringify(other.variables))
    yield* all.api.set(Device.stored("key"))
    assert.deepStrictEqual((yield* recorded(all)).owner, account(P))
  })

  test("A variable of `HttpPrincipalResolver` that is empty or blank is not set", function*() {
    const { home } = yield* scene(steady)
    const forms = [{ environment: "KEY", base: "http://127.0.0.1:9", path: "/", principal: ["id"] }]
    for (const value of [undefined, "", "  "]) {
      const resolver = HttpPrincipalResolver.layer({ forms }).pipe(
        Layer.provide(ConfigProvider.layer(ConfigProvider.fromEnv({ env: value === undefined ? {} : { KEY: value } })))
      )
      assert.deepStrictEqual(
        yield* recorded({ start: (options) => start(home, { ...options, resolver }) }),
        isSteadyAs(device(anon.a))
      )
    }
  })

  test.each([
    { what: "the same credential", credential: Device.stored("key"), expected: isSteadyAs(account(P)) },
    { what: "another credential", credential: Device.stored("other"), expected: { owner: own, isSteady: false } }
  ])("A copied home uses the credential of its own machine: $what", function*({ credential, expected }) {
    const first = yield* scene(steady, { loggedIn: P })
    const copy = yield* scene(steady, { isNew: true, credential })
    NFS.cpSync(first.home.home, copy.home.home, { recursive: true })
    assert.deepStrictEqual(yield* recorded(copy), expected)
  })

  test("A home that was copied to a machine without a credential is signed out there", function*() {
    const first = yield* scene(steady, { loggedIn: P })
    const copy = yield* scene(steady, { isNew: true })
    NFS.cpSync(first.home.home, copy.home.home, { recursive: true })
    const { isSteady, owner } = yield* recorded(copy)
    assert.isFalse(isSteady)
    assert.notInclude([P, first.anonId], owner.distinctId)
    assert.deepStrictEqual((yield* recorded(first)).owner, account(P))
  })

  test("An identity file that another tool rewrites is compared by its decoded content", function*() {
    const { home, start } = yield* scene(steady, { isNew: true })
    const theirs = { enabled: true, device_id: anon.a, session_id: anon.b, schema_version: 1 }
    const write = (active: string) =>
      home.write("telemetry.json", JSON.stringify({ ...theirs, session_last_active: active }))
    yield* write("2025-12-31T23:58:00Z")
    const { loads, owner } = yield* start({ codec: supabase })
    assert.deepStrictEqual(yield* owner, device(anon.a))
    yield* write("2025-12-31T23:59:00Z")
    assert.deepStrictEqual(yield* owner, device(anon.a))
    assert.strictEqual(yield* loads, 0)
  })

  test("An identity file with a byte order mark is rewritten without it, once", function*() {
    const { home, start } = yield* scene(steady)
    const text = home.text("usage.json") ?? ""
    yield* home.write("usage.json", `\ufeff${text}`)
    assert.deepStrictEqual(yield* recorded({ start }), { owner: device(anon.a), isSteady: false })
    assert.strictEqual(home.text("usage.json"), text)
    assert.deepStrictEqual(yield* recorded({ start }), isSteadyAs(device(anon.a)))
  })

  test("A command is not steady with a notice to show, or with a link in the place of a folder", function*() {
    const all = yield* scene(steady)
    const settings = { notice: "We count commands." }
    assert.deepStrictEqual(yield* recorded(all, { settings }), { owner: device(anon.a), isSteady: false })
    assert.deepStrictEqual(yield* recorded(all, { settings }), isSteadyAs(device(anon.a)))
    const linked = yield* scene(steady, { loggedIn: P })
    NFS.renameSync(linked.home.at("usage/claims"), linked.home.at("../claims"))
    NFS.symlinkSync(linked.home.at("../claims"), linked.home.at("usage/claims"))
    const before = identityFiles(linked.home)
    assert.deepStrictEqual(yield* recorded(linked), { owner: account(P), isSteady: false })
    assert.deepStrictEqual(identityFiles(linked.home), before)
  })
})
