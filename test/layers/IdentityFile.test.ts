import { assert, describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/testing/TestClock"
import { execFileSync } from "node:child_process"
import { randomUUID } from "node:crypto"
import * as NFS from "node:fs"
import * as AnonId from "../../src/domain/AnonId.ts"
import * as Claim from "../../src/domain/Claim.ts"
import { arcade, supabase } from "../../src/domain/IdentityCodec.ts"
import type { Identity } from "../../src/services/IdentityStore.ts"
import * as Device from "../fixtures/Device.ts"
import * as FaultyDisk from "../fixtures/FaultyDisk.ts"
import { test } from "../fixtures/Tests.ts"

const { anon, claimOf, identityOf, P, Q } = Device

const isWindows = process.platform === "win32"

const permissions = (path: string): number => NFS.statSync(path).mode & 0o777

const unlinked = arcade.encode({ anonId: anon.a, linkedPrincipal: undefined }, {})

describe("format and repair", () => {
  test("The identity file is created once, as two-space JSON with the keys of Arcade, and names the principal of a claim", function*() {
    const device = yield* Device.make
    const { store } = yield* device.start()
    const identity = yield* store.get
    const { anonId } = identity
    assert.isTrue(AnonId.isAnonId(anonId))
    assert.deepInclude(identity, { claim: undefined, durable: true, firstRun: true, published: true })
    assert.strictEqual(device.text("usage.json"), `{\n  "anon_id": "${anonId}",\n  "linked_principal_id": null\n}\n`)
    assert.deepStrictEqual(yield* store.refresh, identity)
    const claim = claimOf(anonId, P)
    assert.deepStrictEqual(yield* store.claim(claim), { _tag: "Published" })
    assert.deepStrictEqual(device.claim(anonId), claim)
    assert.strictEqual(
      device.text("usage.json"),
      `{\n  "anon_id": "${anonId}",\n  "linked_principal_id": "acct_p"\n}\n`
    )
    const next = { anonId, claim, durable: true, firstRun: false, published: false }
    assert.deepStrictEqual(yield* identityOf(device), next)
  })

  const unusable = {
    "that is torn": `{ "anon_id": "${anon.a}"`,
    "without an anon id": "{ \"linked_principal_id\": \"acct_p\" }",
    "that is no object": `["${anon.a}"]`,
    "that is empty": "",
    "of nothing but zeros": "\0".repeat(64),
    "with the nil UUID": "{ \"anon_id\": \"00000000-0000-0000-0000-000000000000\" }",
    "with the max UUID": "{ \"anon_id\": \"ffffffff-ffff-ffff-ffff-ffffffffffff\" }",
    "with a path as its anon id": "{ \"anon_id\": \"../../../../tmp/x\" }"
  }
  test.each(Object.entries(unusable))("An identity file %s is unusable, and has one successor", function*([, content]) {
    const device = yield* Device.make
    yield* device.write("usage.json", content)
    const first = yield* identityOf(device)
    assert.notInclude(content, first.anonId)
    assert.deepInclude(first, { claim: undefined, durable: true })
    assert.strictEqual((yield* identityOf(device)).anonId, first.anonId)
    assert.deepStrictEqual(device.pointer(), { anon_id: first.anonId, linked_principal_id: null })
  })

  for (const codec of [arcade, supabase]) {
    test(`An identity file of ${codec.name} with a byte order mark is usable, and is rewritten without it`, function*() {
      const device = yield* Device.make
      const text = codec.encode({ anonId: anon.a, linkedPrincipal: undefined }, { theirs: 1 }, randomUUID)
      yield* device.write(codec.fileName, `\ufeff${text}`)
      assert.strictEqual((yield* identityOf(device, { codec, runtime: "ci" })).anonId, anon.a)
      assert.strictEqual(device.text(codec.fileName), `\ufeff${text}`)
      assert.strictEqual((yield* identityOf(device, { codec })).anonId, anon.a)
      assert.deepStrictEqual(JSON.parse(device.text(codec.fileName) ?? ""), JSON.parse(text))
    })
  }

  test("The identity file keeps unknown keys through a claim and a rotation, also a key that was added in between", function*() {
    const device = yield* Device.make
    const extra = { first: [1, { deep: null }], "ключ": "✓", last: false }
    yield* device.seed(anon.a, undefined, extra)
    const { store } = yield* device.start()
    yield* store.get
    yield* device.seed(anon.a, undefined, { ...extra, theirs: 1 })
    yield* store.claim(claimOf(anon.a, P))
    assert.deepStrictEqual(device.pointer(), { ...extra, theirs: 1, anon_id: anon.a, linked_principal_id: P })
    assert.strictEqual((yield* store.rotate)._tag, "Rotated")
    const { anonId } = yield* store.get
    assert.deepStrictEqual(device.pointer(), { ...extra, theirs: 1, anon_id: anonId, linked_principal_id: null })
  })

  test("The identity file stays deleted if the user deletes it while a command runs, and the next command has a new anon id", function*() {
    const device = yield* Device.make
    yield* device.seed(anon.a)
    const { store } = yield* device.start()
    yield* store.get
    NFS.rmSync(device.at("usage.json"))
    assert.strictEqual(yield* store.check, "Deleted")
    assert.deepStrictEqual(yield* store.claim(claimOf(anon.a, P)), { _tag: "Unwritable" })
    assert.isUndefined(device.text("usage.json"))
    assert.deepStrictEqual(device.claimed(), [])
    assert.notStrictEqual((yield* identityOf(device)).anonId, anon.a)
  })

  test("A missing identity file means a new identity, whatever claims there are", function*() {
    const device = yield* Device.make
    yield* device.seed(anon.a, claimOf(anon.a, P))
    NFS.rmSync(device.at("usage.json"))
    const identity = yield* identityOf(device)
    assert.notStrictEqual(identity.anonId, anon.a)
    assert.deepInclude(identity, { claim: undefined, firstRun: true, published: true })
  })

  for (const [what, principal] of [["no principal", undefined], ["another principal", Q]] as const) {
    test(`An identity file with ${what} is repaired by its claim`, function*() {
      const device = yield* Device.make
      yield* device.seed(anon.a, claimOf(anon.a, P))
      yield* device.write("usage.json", arcade.encode({ anonId: anon.a, linkedPrincipal: principal }, { theirs: 1 }))
      assert.strictEqual((yield* identityOf(device)).claim?.principal_id, P)
      assert.deepStrictEqual(device.pointer(), { theirs: 1, anon_id: anon.a, linked_principal_id: P })
      assert.strictEqual(device.claim(anon.a)?.principal_id, P)
    })
  }
})

describe("import of a former format", () => {
  const theirs = supabase.encode({ anonId: anon.a, linkedPrincipal: P }, { theirs: 1 }, randomUUID)
  const former = Effect.tap(Device.make, (device) => device.write("telemetry.json", theirs))

  test("A host that changes its format keeps the ids and links of its devices, and does not change the former file", function*() {
    const device = yield* former
    for (const identity of [yield* identityOf(device), yield* identityOf(device)]) {
      assert.deepInclude(identity, { anonId: anon.a, firstRun: false, published: false })
      assert.strictEqual(identity.claim?.principal_id, P)
    }
    assert.deepStrictEqual(device.pointer(), { anon_id: anon.a, linked_principal_id: P })
    assert.strictEqual(device.text("telemetry.json"), theirs)
  })

  test("A host that changes its format keeps the ids once, and does not restore a file that the user deletes", function*() {
    const device = yield* former
    yield* identityOf(device)
    NFS.rmSync(device.at("usage.json"))
    assert.deepInclude(yield* identityOf(device), { claim: undefined, firstRun: true, published: true })
  })

  test("A host that changes its format keeps the ids once, also if the command that did it was killed", function*() {
    const device = yield* former
    let isDead = false
    const disk = FaultyDisk.interposed(({ operation, path }) => {
      isDead ||= operation === "link" && path.endsWith("/imported")
      return isDead ? "EIO" : undefined
    })
    yield* identityOf(device, { disk })
    assert.strictEqual((yield* identityOf(device)).anonId, anon.a)
    NFS.rmSync(device.at("usage.json"))
    assert.notStrictEqual((yield* identityOf(device)).anonId, anon.a)
  })

  test("A host whose identity is not that of the former file imports it when its own file is deleted", function*() {
    const device = yield* Device.make
    yield* device.seed(anon.b)
    yield* device.write("telemetry.json", theirs)
    assert.strictEqual((yield* identityOf(device)).anonId, anon.b)
    NFS.rmSync(device.at("usage.json"))
    assert.strictEqual((yield* identityOf(device)).anonId, anon.a)
  })

  test("A host that changes its format never returns to an id that was rotated or claimed", function*() {
    const device = yield* former
    const { store } = yield* device.start()
    yield* store.claim(claimOf(anon.a, P))
    yield* store.rotate
    const { anonId } = yield* store.get
    assert.notStrictEqual(anonId, anon.a)
    assert.strictEqual((yield* identityOf(device)).anonId, anonId)
    for (const name of device.tree()) NFS.utimesSync(device.at(name), 1, 1)
    yield* TestClock.setTime(Date.now())
    yield* (yield* device.start()).store.rotate
    assert.notStrictEqual((yield* identityOf(device, { codec: supabase })).anonId, anon.a)
  })

  test("A host that changes its format has no new identity while the new file cannot be written, and keeps the ids afterwards", function*() {
    const device = yield* former
    let refused = 0
    const disk = FaultyDisk.refusing("create", "", "ENOSPC", () => refused++ === 0)
    assert.isFalse((yield* identityOf(device, { disk })).durable)
    assert.strictEqual((yield* identityOf(device)).anonId, anon.a)
  })

  test("A host that changes its format has a new identity if the former file is unusable", function*() {
    const device = yield* Device.make
    yield* device.write("telemetry.json", "{ \"device_id\": 1 }")
    assert.deepInclude(yield* identityOf(device), { firstRun: true, published: true })
  })
})

describe("read-only access", () => {
  /** Files, with the anon id and the principal that are read from them; undefined where there is no identity. */
  const seeds: ReadonlyArray<
    readonly [what: string, Readonly<Record<string, string>>, ReadonlyArray<string> | undefined]
  > = [
    ["an empty home", {}, undefined],
    ["a pointer that lags behind its claim", {
      "usage.json": unlinked,
      [`usage/claims/${anon.a}.json`]: Claim.encode(claimOf(anon.a, P))
    }, [anon.a, P]],
    ["an unusable file", { "usage.json": "{" }, undefined],
    ["another tool's link", { "usage.json": Device.pointerText(anon.a, P) }, [anon.a, P]],
    [
      "a file of a former format",
      { "telemetry.json": supabase.encode({ anonId: anon.a, linkedPrincipal: P }, {}, randomUUID) },
      undefined
    ]
  ]
  for (const [what, files, expected] of seeds) {
    test(`A look at the identity, and a runtime that keeps nothing, change nothing on the disk: ${what}`, function*() {
      const device = yield* Device.make
      for (const [name, text] of Object.entries(files)) yield* device.write(name, text)
      const before = device.snapshot()
      for (const runtime of ["ci", "ci with a terminal", "container"] as const) {
        const identity = yield* identityOf(device, { runtime })
        assert.strictEqual(identity.durable, expected !== undefined)
        if (expected !== undefined) {
          assert.deepStrictEqual<unknown>([identity.anonId, identity.claim?.principal_id], expected)
        }
        assert.strictEqual(identity.firstRun, files["usage.json"] === undefined)
      }
      const seen = yield* (yield* device.start()).store.peek
      assert.deepStrictEqual<unknown>(seen && [seen.anonId, seen.claim?.principal_id], expected)
      assert.deepStrictEqual(device.snapshot(), before)
    })
  }

  test("A look at an unusable file returns its successor and changes nothing on the disk", function*() {
    const device = yield* Device.make
    yield* device.write("usage.json", "{")
    const { anonId } = yield* identityOf(device)
    yield* device.write("usage.json", "{")
    const before = device.snapshot()
    assert.strictEqual((yield* (yield* device.start()).store.peek)?.anonId, anonId)
    assert.deepStrictEqual(device.snapshot(), before)
  })

  test("A full disk stays as it is, and its identity is used", function*() {
    const device = yield* Device.make
    yield* device.seed(anon.a, claimOf(anon.a, P))
    const before = device.snapshot()
    const identity = yield* identityOf(device, { disk: FaultyDisk.full })
    assert.deepStrictEqual([identity.anonId, identity.claim?.principal_id], [anon.a, P])
    assert.deepStrictEqual(device.snapshot(), before)
  })
})

for (const runtime of ["no terminal", "container with a terminal"] as const) {
  test(`A runtime that may last creates an identity, so that its second run is no first run: ${runtime}`, function*() {
    const device = yield* Device.make
    const first = yield* identityOf(device, { runtime })
    assert.isTrue(first.firstRun)
    assert.deepInclude(yield* identityOf(device, { runtime }), { anonId: first.anonId, firstRun: false })
  })
}

describe("identities in memory", () => {
  interface Place {
    readonly set: (device: Device.Device) => void
    readonly disk?: Device.ProcessOptions["disk"]
    readonly firstRun?: boolean
  }
  const denied = FaultyDisk.refusing("read", "/usage.json", "EACCES")
  const places: Readonly<Record<string, Place>> = {
    "a folder in the place of the identity file": { set: ({ at }) => NFS.mkdirSync(at("usage.json")) },
    "a link, which is not followed": {
      set: ({ at }) => {
        NFS.writeFileSync(at("target"), unlinked)
        NFS.symlinkSync(at("target"), at("usage.json"))
      }
    },
    "a link to nowhere, where nothing is created": { set: ({ at }) => NFS.symlinkSync(at("x"), at("usage.json")) },
    "a FIFO, which is not waited for": { set: ({ at }) => void execFileSync("mkfifo", [at("usage.json")]) },
    "a file that must not be read": { set: ({ at }) => NFS.writeFileSync(at("usage.json"), unlinked), disk: denied },
    "a file of 10 MB": {
      set: ({ at }) =>
        NFS.writeFileSync(at("usage.json"), `{ "anon_id": "${anon.a}", "x": "${"x".repeat(10_000_000)}" }`)
    },
    "a file in the place of the module's folder": {
      set: ({ at }) => NFS.writeFileSync(at("usage"), "theirs"),
      firstRun: true
    },
    "a file in the place of the home": {
      set: ({ home }) => {
        NFS.rmdirSync(home)
        NFS.writeFileSync(home, "theirs")
      },
      firstRun: true
    },
    "a full disk": { set: () => {}, disk: FaultyDisk.full, firstRun: true }
  }
  for (const [what, { disk, firstRun = false, set }] of Object.entries(places)) {
    test.skipIf(isWindows && what.includes("FIFO"))(
      `The identity is in memory, and the disk stays as it is, with ${what}`,
      function*() {
        const device = yield* Device.make
        set(device)
        const look = () =>
          NFS.statSync(device.home).isFile() ? NFS.readFileSync(device.home, "utf8") : device.snapshot()
        const before = look()
        const { store } = yield* device.start(disk === undefined ? {} : { disk })
        const identity = yield* store.get
        assert.isTrue(AnonId.isAnonId(identity.anonId))
        assert.notStrictEqual(identity.anonId, anon.a)
        assert.deepInclude(identity, { claim: undefined, durable: false, published: false, firstRun })
        assert.deepStrictEqual([yield* store.get, yield* store.refresh], [identity, identity])
        assert.strictEqual((yield* store.rotate)._tag, "Rotated")
        assert.notStrictEqual((yield* store.get).anonId, identity.anonId)
        assert.deepStrictEqual(look(), before)
      }
    )
  }
})

describe("failed writes", () => {
  for (const operation of ["create", "link", "rename"] as const) {
    test(`A write that fails leaves no temporary file: ${operation}`, function*() {
      const device = yield* Device.make
      yield* device.seed(anon.a)
      const { store } = yield* device.start({ disk: FaultyDisk.refusing(operation, "", "ENOSPC") })
      yield* store.claim(claimOf(anon.a, P))
      yield* store.rotate
      assert.deepStrictEqual(device.tree().filter((name) => /tmp\/./.test(name)), [])
    })
  }
})

describe("file systems without hard links", () => {
  for (const code of ["EACCES", "EPERM", "ENOSYS", "EXDEV", "ENOTSUP", "EOPNOTSUPP", "EMLINK"]) {
    test(`Without hard links a device has one anon id and one claim, in files that are created exclusively: ${code}`, function*() {
      const device = yield* Device.make
      const refused: Array<string> = []
      const disk = FaultyDisk.interposed(({ operation, path }) => {
        if (operation !== "link") return undefined
        refused.push(path)
        return code
      })
      const [one, two] = [yield* device.start({ disk }), yield* device.start({ disk })]
      yield* two.store.peek
      let winner: Identity | undefined
      // The other process creates the file between the refused link and the exclusive creation.
      const overtaken = FaultyDisk.before(FaultyDisk.on("create", device.at("usage.json")), () => {
        winner = Effect.runSync(two.store.get)
      }, disk)
      const third = yield* identityOf(device, { disk: overtaken.disk })
      const { anonId } = yield* one.store.get
      assert.deepStrictEqual([winner?.anonId, third.anonId, device.pointer()["anon_id"]], [anonId, anonId, anonId])
      assert.deepStrictEqual([winner?.published, third.published], [true, false])
      const claim = claimOf(anonId, P)
      assert.deepStrictEqual(yield* one.store.claim(claim), { _tag: "Published" })
      assert.deepStrictEqual(yield* two.store.claim(claimOf(anonId, Q)), { _tag: "Held", claim })
      assert.strictEqual((yield* two.store.rotate)._tag, "Rotated")
      assert.strictEqual((yield* one.store.rotate)._tag, "Overtaken")
      assert.strictEqual((yield* one.store.get).anonId, (yield* two.store.get).anonId)
      assert.isAtLeast(refused.length, 5)
      if (!isWindows) assert.strictEqual(permissions(device.at("usage.json")), 0o600)
      assert.deepStrictEqual(device.tree().filter((name) => /tmp\/./.test(name)), [])
    })
  }
})
