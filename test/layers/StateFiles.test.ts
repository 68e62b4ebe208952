import { assert, describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as NFS from "node:fs"
import * as Path from "node:path"
import * as Claim from "../../src/domain/Claim.ts"
import * as OutboxFolder from "../../src/domain/OutboxFolder.ts"
import * as ClaimFiles from "../../src/layers/ClaimFiles.ts"
import * as ClaimWriter from "../../src/layers/ClaimWriter.ts"
import * as NodeDisk from "../../src/layers/NodeDisk.ts"
import { denied } from "../../src/layers/StateFiles.ts"
import * as Sweep from "../../src/worker/Sweep.ts"
import * as Device from "../fixtures/Device.ts"
import * as FaultyDisk from "../fixtures/FaultyDisk.ts"
import { filesOf } from "../fixtures/Files.ts"
import { event } from "../fixtures/Messages.ts"
import { test } from "../fixtures/Tests.ts"

const { anon, claimOf, P } = Device

const isWindows = process.platform === "win32"

const now = Date.parse("2026-01-01T00:00:00Z")
const hour = 60 * 60
const day = 24 * hour

/** Replaces a folder of the home by a link to another. */
const link = (device: Device.Device, name: string, target: string) => {
  NFS.rmSync(device.at(name), { recursive: true, force: true })
  NFS.mkdirSync(Path.dirname(device.at(name)), { recursive: true, mode: 0o700 })
  NFS.symlinkSync(device.at(target), device.at(name))
}

describe("Sweep", () => {
  const sweep = (device: Device.Device, days = 10) =>
    Sweep.sweep(filesOf(device), NodeDisk.disk, now, { destinationId: "here", maxAgeMillis: days * day * 1000 })
  const write = (device: Device.Device, name: string, seconds: number) =>
    Effect.map(
      device.write(name, "code"),
      () => NFS.utimesSync(device.at(name), now / 1000 - seconds, now / 1000 - seconds)
    )

  test("A sweep removes temporary files after an hour and compiled code after 30 days, and no link", function*() {
    const device = yield* Device.make
    yield* write(device, "usage/tmp/new", hour - 100)
    yield* write(device, "usage/tmp/old", hour + 100)
    for (const folder of ["usage/compile-cache", "usage/compile-cache/v24"]) {
      yield* write(device, `${folder}/new`, 29 * day)
      yield* write(device, `${folder}/old`, 31 * day)
    }
    if (!isWindows) link(device, "usage/tmp/a-link", "missing")
    sweep(device)
    assert.deepStrictEqual(device.tree(), [
      "usage/compile-cache/new",
      "usage/compile-cache/v24/new",
      ...(isWindows ? [] : ["usage/tmp/a-link"]),
      "usage/tmp/new"
    ])
  })

  for (const name of ["usage/tmp", "usage/compile-cache", "usage/compile-cache/v24"]) {
    test.skipIf(isWindows)(`A sweep removes nothing through a link in the place of ${name}`, function*() {
      const device = yield* Device.make
      for (const file of ["precious/old", "precious/v24/old"]) yield* write(device, file, 100 * day)
      yield* write(device, "usage/compile-cache/v22/new", 0)
      link(device, name, "precious")
      const before = device.snapshot()
      sweep(device)
      assert.deepStrictEqual(device.snapshot(), before)
    })
  }

  test.skipIf(isWindows)(
    "A sweep removes an empty folder for code that others may write to, and keeps every other",
    function*() {
      const device = yield* Device.make
      const folders = { "open": 0o777, "own": 0o700, "open-with-code": 0o777 }
      yield* write(device, "usage/compile-cache/open-with-code/new", 0)
      for (const [name, mode] of Object.entries(folders)) {
        const folder = device.at("usage/compile-cache", name)
        NFS.mkdirSync(folder, { recursive: true, mode: 0o700 })
        NFS.chmodSync(folder, mode)
      }
      sweep(device)
      assert.deepStrictEqual(device.tree(), ["usage/compile-cache/open-with-code/new", "usage/compile-cache/own/"])
    }
  )

  test("A sweep removes from any outbox what is older than its bound, and what was sent after 7 days", function*() {
    const device = yield* Device.make
    const name = (days: number) => OutboxFolder.eventName(event(days), now - days * day * 1000, 100)
    const kept: Array<string> = []
    for (const destination of ["here", "there"]) {
      for (const [folder, days] of [["events", 9], ["events", 11], ["sent", 6], ["sent", 8]] as const) {
        const file = `usage/outbox/${destination}/${folder}/${name(days)}`
        yield* device.write(file, "a message")
        if (days < (folder === "sent" ? 7 : 10)) kept.push(file)
      }
    }
    sweep(device)
    assert.deepStrictEqual(device.tree(), kept)
  })

  test("A sweep keeps the messages of another destination for 7 days if those of its own are kept for less", function*() {
    const device = yield* Device.make
    const name = (days: number) => OutboxFolder.eventName(event(days), now - days * day * 1000, 100)
    const files = ["here", "there"].flatMap((destination) =>
      [2, 6, 8].map((days) => `usage/outbox/${destination}/events/${name(days)}`)
    )
    for (const file of files) yield* device.write(file, "a message")
    sweep(device, 1)
    assert.sameMembers(device.tree().filter((name) => !name.endsWith("/")), files.slice(3, 5))
  })

  test("A sweep creates nothing on a new device", function*() {
    const device = yield* Device.make
    sweep(device)
    assert.deepStrictEqual(device.tree(), [])
  })
})

describe("symbolic links", () => {
  for (const name of ["usage/outbox", "usage/claims", "usage/tmp"]) {
    test.skipIf(isWindows)(`A folder that is a link is neither read nor written through: ${name}`, function*() {
      const device = yield* Device.make
      yield* device.write("precious/mine.json", "mine")
      yield* device.write("usage/ours.json", "ours")
      link(device, name, "precious")
      const files = filesOf(device)
      const { outbox } = yield* device.start()
      const expected = name === "usage/outbox" ? "Published" : "Unwritable"
      assert.strictEqual(ClaimWriter.publish(files, claimOf(anon.a, P))._tag, expected)
      assert.strictEqual(yield* outbox.add(event(1)), name === "usage/claims")
      const theirs = device.at(name, "mine.json")
      assert.deepStrictEqual(files.read(theirs), { _tag: "Unreadable", code: "EPERM" })
      const changes = [
        files.list(device.at(name)),
        files.move(theirs, device.at("usage/moved")),
        files.move(device.at("usage/ours.json"), device.at(name, "ours.json")),
        files.makeFolder(device.at(name, "folder"))
      ]
      assert.deepStrictEqual(changes, ["EPERM", "EPERM", "EPERM", "EPERM"])
      assert.deepStrictEqual(device.tree().filter((file) => file.startsWith("precious")), ["precious/mine.json"])
    })
  }

  test.skipIf(isWindows)("A folder that is a link holds no claim that counts", function*() {
    const device = yield* Device.make
    yield* device.write(`elsewhere/${anon.a}.json`, Claim.encode(claimOf(anon.a, P, { credential: "none" })))
    link(device, "usage/claims", "elsewhere")
    assert.strictEqual(ClaimFiles.read(filesOf(device), anon.a), "Unknown")
  })
})

describe("StateHome", () => {
  test("A home holds each folder that is made", function*() {
    const device = yield* Device.make
    const { makeFolder } = filesOf(device)
    assert.strictEqual(makeFolder(Path.parse(device.home).root), "EPERM")
    assert.strictEqual(makeFolder(`${device.home}-too`), "EPERM")
    assert.isFalse(NFS.existsSync(`${device.home}-too`))
    assert.isUndefined(makeFolder(device.at("usage/compile-cache/v24")))
    assert.deepStrictEqual(device.tree(), ["usage/compile-cache/v24/"])
  })
})

describe("withdrawn consent", () => {
  test("Consent is needed to set a message aside", function*() {
    const device = yield* Device.make
    const id = "11111111-1111-4111-8111-111111111111"
    const name = `000000000000001-000000-${id}-${id}-9.json`
    yield* device.write(`usage/outbox/${Device.destinationId}/events/${name}`, "half a fi")
    const before = device.snapshot()
    const { outbox } = yield* device.start({ consent: Device.consentOf(Device.denied) })
    assert.deepStrictEqual((yield* outbox.look).entries, [])
    assert.deepStrictEqual(device.snapshot(), before)
    assert.deepStrictEqual((yield* (yield* device.start()).outbox.look).entries, [])
    assert.include(device.tree(), `usage/outbox/${Device.destinationId}/set-aside/${name}`)
  })

  for (
    const [what, given, isKept] of [
      ["is still given", true, true],
      ["cannot be read", undefined, true],
      ["was withdrawn", false, false]
    ] as const
  ) {
    test(`A published file is ${isKept ? "kept" : "removed"} if consent ${what} after that`, function*() {
      const device = yield* Device.make
      let isOver = false
      const disk = FaultyDisk.interposed(({ operation }) => {
        isOver ||= operation === "link"
      })
      const files = filesOf(device, { disk, stillGiven: () => isOver ? given : true })
      assert.strictEqual(files.publish(device.at("usage/claims/1"), "text"), isKept ? undefined : denied)
      assert.strictEqual(device.text("usage/claims/1"), isKept ? "text" : undefined)
    })
  }

  test("A published file is not removed if a newer command has replaced it since consent was withdrawn", function*() {
    const device = yield* Device.make
    yield* device.write("usage/claims/0", "")
    let isOver = false
    const disk = FaultyDisk.interposed(({ operation, path }) => {
      if (operation === "link") isOver = true
      if (operation !== "remove" || !path.includes("/tmp/")) return
      // The process is suspended between its link and its next step.
      NFS.rmSync(device.at("usage/claims/1"))
      NFS.writeFileSync(device.at("usage/claims/1"), "newer")
    })
    const files = filesOf(device, { disk, stillGiven: () => !isOver })
    assert.strictEqual(files.publish(device.at("usage/claims/1"), "text"), denied)
    assert.strictEqual(device.text("usage/claims/1"), "newer")
  })

  for (const operation of ["publish", "replace"] as const) {
    test(`A file that holds consent is kept if consent was withdrawn: it may be the denial by now (${operation})`, function*() {
      const device = yield* Device.make
      let isOver = false
      const disk = FaultyDisk.interposed(({ operation }) => {
        isOver ||= operation === "link" || operation === "rename"
      })
      const files = filesOf(device, { disk, stillGiven: () => !isOver })
      assert.strictEqual(files[operation](device.at("telemetry.json"), "text", true), denied)
      assert.strictEqual(device.text("telemetry.json"), "text")
    })
  }

  test("A folder for another program is not made without consent", function*() {
    const device = yield* Device.make
    assert.strictEqual(
      filesOf(device, { stillGiven: () => false }).makeFolder(device.at("usage/compile-cache")),
      denied
    )
    assert.deepStrictEqual(device.tree(), [])
  })
})
