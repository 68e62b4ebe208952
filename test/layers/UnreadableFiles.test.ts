import { assert, describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/testing/TestClock"
import * as Path from "node:path"
import * as Claim from "../../src/domain/Claim.ts"
import type { Credential } from "../../src/domain/Credential.ts"
import { arcade } from "../../src/domain/IdentityCodec.ts"
import * as Message from "../../src/domain/Message.ts"
import * as Lease from "../../src/layers/Lease.ts"
import * as MemoryDisk from "../../src/layers/MemoryDisk.ts"
import type { Disk, Errno } from "../../src/services/Disk.ts"
import * as Device from "../fixtures/Device.ts"
import * as FaultyDisk from "../fixtures/FaultyDisk.ts"
import { leasesOf, leaseText } from "../fixtures/Files.ts"
import { aliasOf, event } from "../fixtures/Messages.ts"
import { test } from "../fixtures/Tests.ts"
import { allErrnos } from "../model/Program.ts"
import * as Command from "../stitch/Command.ts"

const { anon, claimOf, P, pointerText, Q, successorText } = Device

const now = 1_000_000_000_000
const outbox = `usage/outbox/${Device.destinationId}`
const eventName = `000999913600000-000000-${anon.c}-${event(1).uuid}-9.json`

const claim = claimOf(anon.a, P, {
  credential: "environment",
  destination: Device.destinationId,
  alias: aliasOf(0, anon.a, P)
})

type Files = Readonly<Record<string, string>>

/** A disk in memory that holds some files of an age, by their paths below a home or beside it. */
const diskOf = (home: string, files: Files, age = 0): MemoryDisk.MemoryDisk => {
  let time = now - age
  const disk = MemoryDisk.make({ now: () => time })
  const makeFolder = (folder: string): void => {
    if (disk.makeFolder(folder) !== "ENOENT") return
    makeFolder(Path.dirname(folder))
    disk.makeFolder(folder)
  }
  makeFolder(home)
  for (const [name, text] of Object.entries(files)) {
    const path = Path.join(home, name)
    makeFolder(Path.dirname(path))
    assert.isUndefined(disk.create(path, text))
  }
  time = now
  return disk
}

/** The files of a disk, by their paths. */
const filesIn = (home: string, disk: MemoryDisk.MemoryDisk): Files =>
  Object.fromEntries(
    [...disk.entries()].flatMap(([path, text]) => text === undefined ? [] : [[Path.relative(home, path), text]])
  )

/** The messages of the files that were not there before. */
const recordedIn = (files: Files, before: Files) =>
  Object.entries(files).flatMap(([name, text]) =>
    name in before || !name.includes("/events/") ? [] : Message.decode(text) ?? []
  )

/** A device that is not on the real disk, and its API. */
interface Setup {
  readonly device: Device.Device
  readonly api: Device.Api
}

/** A command that reads everything. */
const run = ({ api, device }: Setup, disk: Disk) =>
  Effect.gen(function*() {
    const process = yield* device.start({
      consent: Device.environmentConsent(),
      resolver: api.layer,
      settings: { notice: "a notice" },
      disk
    })
    yield* process.capture.capture(Command.Used, {})
    yield* process.stitch.observe(P)
    yield* process.capture.capture(Command.Used, {})
    const seen = {
      identity: yield* process.store.get,
      check: yield* process.store.check,
      look: yield* process.outbox.look,
      status: yield* process.outbox.status,
      until: yield* process.outbox.backedOffUntil,
      isHeld: Lease.inspect(leasesOf(device, { disk }), now).isHeld
    }
    yield* process.end
    return seen
  }).pipe(Effect.scoped)

/** The device of an account whose commands change nothing, with every file that this module reads. */
const makeSteady = Effect.fnUntraced(function*(isSteady: boolean) {
  yield* TestClock.setTime(now - 120_000)
  const device = yield* Device.make
  const options = { credential: Device.stored("key"), accounts: { key: P } }
  const api: Device.Api = yield* isSteady ? Device.makeFileApi(device, options) : Device.makeApi(options)
  yield* device.remember(Device.stored("key"), P, api)
  const disk = diskOf(device.home, {
    "../credentials": "key",
    "telemetry.json": JSON.stringify({ device_id: anon.b, enabled: true }),
    "usage.json": arcade.encode({ anonId: anon.a, linkedPrincipal: P }, {}),
    "usage/enabled": "1",
    "usage/imported": "",
    "usage/known.json": device.text("usage/known.json") ?? "",
    "usage/notice": "",
    [`usage/claims/${anon.a}.json`]: Claim.encode(claim),
    [`usage/claims/${anon.a}.stored`]: "",
    [`usage/successors/${anon.c}.json`]: successorText(anon.a),
    [`${outbox}/set-aside/${eventName}`]: JSON.stringify({ version: 1, message: event(2) }),
    [`${outbox}/events/${eventName}`]: JSON.stringify({ version: 1, message: event(1) }),
    [`${outbox}/back-off.json`]: JSON.stringify({ attempts: 3, until: now + 4_000, reason: "status 503" }),
    [`${outbox}/last-delivery.json`]: JSON.stringify({ at: now - 1 }),
    [`${outbox}/lease-1`]: leaseText({ until: now + 5_000 })
  })
  // The first command keeps its session, and the next one is to keep it again.
  yield* run({ api, device }, disk)
  yield* TestClock.setTime(now)
  return { api, device, files: filesIn(device.home, disk) }
})

type Steady = Effect.Success<ReturnType<typeof makeSteady>>

/** What the cache keeps: its salt, its answers, and the session. */
const knownIn = (files: Files) => {
  const { credentials, salt, session } = JSON.parse(files["usage/known.json"] ?? "{}")
  return { credentials, salt, session: session?.session_id }
}

/** Each file that was there is unchanged, and nothing was added except events; the cache keeps its salt and answers. */
const assertUnchanged = (files: Files, before: Files, where: string) => {
  const left = Object.entries(files).filter(([name]) => name in before || !name.includes("/events/"))
  const withKnown = (files: Files) => ({ ...files, "usage/known.json": { ...knownIn(files), session: "any" } })
  assert.deepStrictEqual(withKnown(Object.fromEntries(left)), withKnown(before), where)
}

/** What is read, with its operation. */
const reads: ReadonlyArray<readonly [name: string, operation: keyof Disk]> = [
  ["usage.json", "read"],
  ["telemetry.json", "read"],
  [`usage/claims/${anon.a}.json`, "read"],
  [`usage/claims/${anon.a}.stored`, "read"],
  [`usage/successors/${anon.a}.json`, "read"],
  ["usage/known.json", "read"],
  ["usage/enabled", "read"],
  ["usage/notice", "read"],
  ["usage/opt-out", "look"],
  ["../credentials", "read"],
  ["/etc/acme/usage.json", "look"],
  ["usage/claims", "list"],
  [outbox, "list"],
  [`${outbox}/events`, "list"],
  [`${outbox}/set-aside`, "list"],
  [`${outbox}/events/${eventName}`, "read"],
  [`${outbox}/back-off.json`, "read"],
  [`${outbox}/last-delivery.json`, "read"],
  [`${outbox}/lease-1`, "read"]
]

/** Refuses a read: that of a turn, alone or with all that follow it. */
const refusingTurn = (
  disk: Disk,
  { code = "EIO", isLasting, operation = "read", path, turn }: {
    readonly code?: Errno
    readonly isLasting: boolean
    readonly operation?: keyof Disk
    readonly path: string
    readonly turn: number
  }
) => {
  let calls = 0
  const interposed = FaultyDisk.interposed((call) => {
    if (call.operation !== operation || call.path !== path) return undefined
    calls += 1
    return calls === turn + 1 || (isLasting && calls > turn) ? code : undefined
  }, disk)
  return { disk: interposed, wasHit: () => calls > turn }
}

describe("recovery after a failed read", () => {
  for (const [name, operation] of reads) {
    /** Returns whether the command has read the path so often. */
    const check = Effect.fnUntraced(function*(steady: Steady, code: Errno, turn: number, isLasting: boolean) {
      const { device: { home }, files: before } = steady
      const memory = diskOf(home, before)
      const path = Path.resolve(home, name)
      const { disk, wasHit } = refusingTurn(memory, { operation, path, code, turn, isLasting })
      yield* run(steady, disk)
      const during = filesIn(home, memory)
      const where = `${code} at turn ${turn}${isLasting ? " and later" : ""}`
      assertUnchanged(during, before, where)
      if (name === "usage/known.json") assert.deepStrictEqual(knownIn(during), knownIn(before), where)
      for (const { distinct_id, properties } of recordedIn(during, before)) {
        const isPersonless = properties["$process_person_profile"] === false && distinct_id !== anon.a
        assert.isTrue(distinct_id === P || isPersonless, where)
      }
      const next = yield* run(steady, memory)
      const after = filesIn(home, memory)
      assertUnchanged(after, before, where)
      assert.deepStrictEqual(recordedIn(after, during).map(({ distinct_id }) => distinct_id), [P, P], where)
      assert.deepInclude(next, { check: "Current", isHeld: true, until: now + 4_000 }, where)
      assert.deepInclude(next.identity, { anonId: anon.a, claim: { ...claim, credential: "stored" } }, where)
      assert.isUndefined(next.look.blocked, where)
      return wasHit()
    })

    test(`A ${operation} of ${name} that fails for a moment changes no file`, function*() {
      const steady = yield* makeSteady(true)
      // A command whose credential has no input is never steady.
      const whole = yield* makeSteady(false)
      for (const code of allErrnos) yield* check(steady, code, 0, false)
      let most = 0
      for (const setup of [steady, whole]) {
        for (const isLasting of [true, false]) {
          for (let turn = 0; yield* check(setup, "EIO", turn, isLasting); turn++) most = turn + 1
        }
      }
      assert.isAbove(most, 0)
    })
  }
})

// == commands that would change something

interface Scenario {
  readonly files: Files
  readonly credential?: Credential
  /** What can be read; the files of an identity without a successor where it is not set. */
  readonly reads?: ReadonlyArray<string>
  /** The command; one event where it is not set. */
  readonly act?: (process: Device.Process) => Effect.Effect<unknown>
  /** Whether the event of the command must not belong to the account. */
  readonly isSignedOut?: boolean
  /** The identity and the facts after the next command. */
  readonly expected: ReadonlyArray<string>
}

const used: NonNullable<Scenario["act"]> = ({ capture }) => capture.capture(Command.Used, {})

const hash = (text: string) => Device.persistent.sha256(text)
const former = JSON.stringify({ device_id: anon.a, enabled: true })

const claimFile = (anonId: string) => `usage/claims/${anonId}.json`
const successorFile = (key: string) => `usage/successors/${key}.json`

// A folder that is absent is not read.
const folders = { [claimFile(anon.c)]: "", [successorFile(anon.c)]: "" }
const identityReads = ["usage.json", claimFile(anon.a), successorFile(anon.a)]
const claimed = (options: Partial<Claim.Claim>) => ({
  ...folders,
  "usage.json": pointerText(anon.a, P),
  [claimFile(anon.a)]: Claim.encode(claimOf(anon.a, P, options))
})

const scenarios: Readonly<Record<string, Scenario>> = {
  "rotate, because the stored credential of its claim is gone": {
    files: claimed({ credential: "stored" }),
    isSignedOut: true,
    expected: ["new", "a of acct_p", "a to new"]
  },
  "rotate, because the credential of its claim was stored later and is gone": {
    files: { ...claimed({ credential: "environment" }), [`usage/claims/${anon.a}.stored`]: "" },
    reads: [...identityReads, `usage/claims/${anon.a}.stored`],
    isSignedOut: true,
    expected: ["new", "a of acct_p", "a to new"]
  },
  "rotate and claim, because the account changed": {
    files: claimed({ credential: "stored" }),
    credential: Device.stored("q"),
    expected: ["new", "a of acct_p", "a to new", "new of acct_q"]
  },
  "rotate, because the user logs out": {
    files: claimed({ credential: "stored" }),
    act: ({ stitch }) => stitch.logout,
    expected: ["new", "a of acct_p", "a to new"]
  },
  "rotate and claim, because the user logs in to another account": {
    files: claimed({ credential: "stored" }),
    credential: Device.stored("q"),
    act: ({ stitch }) => stitch.login(Q),
    expected: ["new", "a of acct_p", "a to new", "new of acct_q"]
  },
  "claim, because its credential has an account": {
    files: { ...folders, "usage.json": pointerText(anon.a) },
    credential: Device.stored("q"),
    expected: ["a", "a of acct_q with an alias"]
  },
  "adopt the link of another tool": {
    files: { ...folders, "usage.json": pointerText(anon.a, P) },
    expected: ["a", "a of acct_p"]
  },
  "follow a successor": {
    files: { ...folders, "usage.json": pointerText(anon.a), [successorFile(anon.a)]: successorText(anon.b) },
    reads: [...identityReads.slice(0, 1), successorFile(anon.a), claimFile(anon.b), successorFile(anon.b)],
    expected: ["b", "a to b"]
  },
  "succeed an unusable file": {
    files: { ...folders, "usage.json": "{" },
    reads: ["usage.json", successorFile(hash("{"))],
    expected: ["new", "hash to new"]
  },
  "follow the successor of an unusable file": {
    files: { ...folders, "usage.json": "{", [successorFile(hash("{"))]: successorText(anon.b) },
    reads: ["usage.json", successorFile(hash("{")), successorFile(anon.b)],
    expected: ["b", "hash to b"]
  },
  "follow the successor of a successor that is not understood": {
    files: { ...folders, "usage.json": pointerText(anon.a), [successorFile(anon.a)]: "torn" },
    reads: ["usage.json", successorFile(anon.a), successorFile(hash(`${anon.a}\ntorn`))],
    expected: ["new", "a to nothing", "hash to new"]
  },
  "import the file of a former format": {
    files: { ...folders, "telemetry.json": former },
    reads: ["usage.json", "usage/imported", "telemetry.json"],
    expected: ["a"]
  },
  "create a file that the user deleted": {
    files: { ...folders, "telemetry.json": former, "usage/imported": "" },
    reads: ["usage.json", "usage/imported", "telemetry.json"],
    expected: ["new"]
  }
}

/** The identity, the claims and the successors of a device; ids of its own are `new`. */
const factsIn = (files: Files): ReadonlyArray<string> => {
  const names = new Map<unknown, string>([[anon.a, "a"], [anon.b, "b"], [undefined, "nothing"]])
  const nameOf = (id: unknown) => names.get(id) ?? (String(id).length === 64 ? "hash" : "new")
  const facts = Object.entries(files).flatMap(([name, text]) => {
    const [, kind, id] = /^usage\/(claims|successors)\/(.*)\.json$/.exec(name) ?? []
    if (kind === undefined || id === anon.c) return []
    const { alias, anon_id, principal_id } = text === "torn" ? {} : JSON.parse(text)
    if (kind === "successors") return [`${nameOf(id)} to ${nameOf(anon_id)}`]
    // The claim that follows a rotation has an alias if another command made the rotation.
    return [`${nameOf(id)} of ${principal_id}${alias === null || nameOf(id) === "new" ? "" : " with an alias"}`]
  })
  const pointer = files["usage.json"] ?? "{"
  return [...pointer === "{" ? [] : [nameOf(JSON.parse(pointer).anon_id)], ...facts.toSorted()]
}

describe("postponed actions", () => {
  for (const [what, { act = used, credential, expected, files, ...given }] of Object.entries(scenarios)) {
    const { isSignedOut = false, reads = identityReads } = given
    test(`A command that cannot read a file does not ${what}, and the next command does`, function*() {
      yield* TestClock.setTime(now)
      const device = yield* Device.make
      const { home } = device
      const check = Effect.fnUntraced(function*(name: string, turn: number, isLasting: boolean) {
        // A new file may be unfinished.
        const memory = diskOf(home, files, 60_000)
        const api = yield* Device.makeApi({ credential, accounts: { q: Q } })
        const command = (act: NonNullable<Scenario["act"]>, disk: Disk) =>
          Effect.gen(function*() {
            const options = { consent: Device.environmentConsent(), resolver: api.layer, disk }
            const process = yield* Command.start(device, options)
            yield* process.begin
            yield* act(process)
            yield* process.settle
            yield* process.end
          }).pipe(Effect.scoped)
        const { disk, wasHit } = refusingTurn(memory, { path: device.at(name), turn, isLasting })
        yield* command(act, disk)
        const during = filesIn(home, memory)
        const where = `${name} at turn ${turn}${isLasting ? " and later" : ""}`
        if (wasHit() && turn === 0 && isLasting) assert.deepStrictEqual(factsIn(during), factsIn(files), where)
        for (const { distinct_id } of isSignedOut ? recordedIn(during, files) : []) {
          assert.notInclude([P, anon.a], distinct_id, where)
        }
        yield* command(used, memory)
        assert.deepStrictEqual(factsIn(filesIn(home, memory)), expected, where)
        return wasHit()
      })
      for (const name of reads) {
        for (const isLasting of [true, false]) {
          for (let turn = 0; yield* check(name, turn, isLasting); turn++) assert.isBelow(turn, 40)
        }
      }
    })
  }
})
