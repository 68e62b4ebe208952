/**
 * What the code does on platforms that these tests do not run on: each branch is taken by a module that finds such a process
 * when it is loaded.
 */
import * as NodePath from "@effect/platform-node/NodePath"
import { assert, describe, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Stdio from "effect/Stdio"
import { EventEmitter } from "node:events"
import NodeFs, * as NFS from "node:fs"
import * as Path from "node:path"
import { onTestFinished, vi } from "vitest"
import * as OutboxFolder from "../../src/domain/OutboxFolder.ts"
import * as StateHome from "../../src/domain/StateHome.ts"
import * as MemoryDisk from "../../src/layers/MemoryDisk.ts"
import * as StateFiles from "../../src/layers/StateFiles.ts"
import { marker, setOwnWorker } from "../../src/layers/WorkerMarks.ts"
import * as WorkerProcess from "../../src/layers/WorkerProcess.ts"
import type { Disk, Entry } from "../../src/services/Disk.ts"
import * as Device from "../fixtures/Device.ts"
import { missing, temporary, text, unreadable } from "../fixtures/Disks.ts"
import { filesOf, machineOf } from "../fixtures/Files.ts"
import { replace } from "../fixtures/Replace.ts"
import { test } from "../fixtures/Tests.ts"

const refusal = (code: string) => Object.assign(new Error(code), { code })

/** Another instance of a module, which looks at the process anew. */
const anew = <A>(load: () => Promise<A>): Promise<A> => {
  vi.resetModules()
  return load()
}

const withoutProc = () => {
  const { readFileSync, readdirSync, readlinkSync } = NodeFs
  const below = <A, B extends ReadonlyArray<never>>(real: (...args: B) => A) => (...args: B): A => {
    if (String(args[0]).startsWith("/proc")) throw refusal("ENOENT")
    return real(...args)
  }
  replace(NodeFs, {
    readFileSync: below(readFileSync),
    readdirSync: below(readdirSync),
    readlinkSync: below(readlinkSync)
  })
}

const diskOfWindows = async (): Promise<Disk> => {
  replace(process, { platform: "win32" })
  return (await anew(() => import("../../src/layers/NodeDisk.ts"))).disk
}

describe("NodeDisk", () => {
  it("The disk on Windows has no flag that refuses links, and looks before it opens a file", async () => {
    const disk = await diskOfWindows()
    const at = temporary()
    NFS.writeFileSync(at("f"), "f")
    NFS.symlinkSync(at("f"), at("link"))
    const { openSync } = NFS
    const flags: Array<unknown> = []
    replace(NodeFs, {
      openSync: (...args: Parameters<typeof openSync>) => {
        flags.push(args[1])
        return openSync(...args)
      }
    })
    assert.deepStrictEqual([disk.read(at("link")), disk.read(at("f"))], [unreadable("ELOOP"), text("f")])
    assert.deepStrictEqual(flags, [NFS.constants.O_RDONLY])
  })

  it("The disk on Windows names no owner", async () => {
    const disk = await diskOfWindows()
    const found = disk.look(temporary()())
    assert.deepInclude(found, { type: "Directory", uid: undefined })
  })

  it("The disk on Windows refuses to open a folder with EFTYPE, whatever code Windows has for it", async () => {
    const disk = await diskOfWindows()
    replace(NodeFs, {
      openSync: () => {
        throw refusal("EISDIR")
      }
    })
    assert.deepStrictEqual(disk.read(temporary()()), unreadable("EFTYPE"))
  })

  const operations = {
    rename: ["renameSync", (disk: Disk, file: string) => disk.rename(file, `${file}2`)],
    remove: ["unlinkSync", (disk: Disk, file: string) => disk.remove(file)]
  } as const
  for (const [name, [call, perform]] of Object.entries(operations)) {
    for (const code of ["EPERM", "EBUSY", "EACCES"]) {
      it(`A ${name} on Windows is retried while another process has the file open: ${code}`, async () => {
        const disk = await diskOfWindows()
        const at = temporary()
        NFS.writeFileSync(at("f"), "f")
        const real: (...args: ReadonlyArray<string>) => void = NodeFs[call]
        let tries = 0
        replace(NodeFs, {
          [call]: (...args: ReadonlyArray<string>) => {
            if (++tries < 4) throw refusal(code)
            real(...args)
          }
        })
        assert.isUndefined(perform(disk, at("f")))
        assert.deepStrictEqual([tries, NFS.existsSync(at("f"))], [4, false])
      })
    }

    it(`A ${name} on Windows is refused after its retries, and at once for another reason or on another platform`, async () => {
      let tries = 0
      let code = "EBUSY"
      replace(NodeFs, {
        [call]: () => {
          tries += 1
          throw refusal(code)
        }
      })
      const { disk: posix } = await anew(() => import("../../src/layers/NodeDisk.ts"))
      assert.deepStrictEqual([perform(posix, "/f"), tries], ["EBUSY", 1])
      const disk = await diskOfWindows()
      assert.deepStrictEqual([perform(disk, "/f"), tries], ["EBUSY", 8])
      code = "ENOENT"
      assert.deepStrictEqual([perform(disk, "/f"), tries], ["ENOENT", 9])
    })
  }
})

describe("StateFiles", () => {
  const home = "C:\\Users\\me\\AppData\\Local\\acme"

  it("The files of a home on Windows are whole or absent, and are found again, whatever slashes their paths have", () => {
    const folder: Entry = { type: "Directory", uid: undefined, mode: 0o666, modifiedAt: 0 }
    const given = new Set(["C:\\", "C:\\Users", "C:\\Users\\me", "C:\\Users\\me\\AppData", Path.win32.dirname(home)])
    const look = (path: string) => given.has(path) ? folder : "ENOENT"
    const below: Disk = {
      ...MemoryDisk.make(),
      look,
      follow: look,
      list: (path) => given.has(path) ? [] : "ENOENT",
      access: (path) => given.has(path) ? undefined : "ENOENT",
      read: () => missing
    }
    // Windows takes either slash.
    const disk = new Proxy(MemoryDisk.make({ below }), {
      get: (disk, name: keyof Disk) => (...args: ReadonlyArray<unknown>) =>
        Reflect.apply(disk[name], disk, args.map((arg) => typeof arg === "string" ? arg.replaceAll("/", "\\") : arg))
    })
    const files = StateFiles.make({
      home: StateHome.make(Path.win32, home),
      path: Path.win32,
      runtime: { ...Device.persistent, disk, uid: undefined },
      stillGiven: () => true
    })
    assert.strictEqual(files.home.claims, `${home}\\usage\\claims`)
    const claim = `${files.home.claims}\\a.json`
    assert.deepStrictEqual([files.publish(claim, "1"), files.publish(claim, "2")], [undefined, "EEXIST"])
    assert.deepStrictEqual(files.read(claim), text("1"))
    const event = `${OutboxFolder.make(files.home, Device.destinationId).events}/1.json`
    assert.isUndefined(files.replace(event, "event"))
    assert.deepStrictEqual(files.list(Path.win32.dirname(event)), ["1.json"])
    assert.isUndefined(files.move(event, `${files.home.usage}\\moved`))
    assert.deepStrictEqual([files.read(event), files.read(`${files.home.usage}/moved`)], [missing, text("event")])
    assert.deepStrictEqual(files.list(`${home}\\usage\\tmp`), [])
  })
})

describe("NodeProcess", () => {
  it("A process has no user where the platform has none", async () => {
    replace(process, { geteuid: undefined })
    const { current } = await anew(() => import("../../src/layers/NodeProcess.ts"))
    assert.isUndefined(current.uid)
  })

  it("A process without /proc is distinguished from one that has ended by its number alone", async () => {
    withoutProc()
    const { current, pidNamespace } = await anew(() => import("../../src/layers/NodeProcess.ts"))
    assert.isUndefined(pidNamespace())
    const mark = current.markOf(process.pid)
    assert.match(mark, new RegExp(`^${process.pid}  .* undefined$`))
    assert.isTrue(current.isAlive(mark))
    replace(process, {
      kill: () => {
        throw refusal("EPERM")
      }
    })
    assert.isFalse(current.isAlive(mark))
  })

  it("A process is not isolated where there is no /proc", async () => {
    withoutProc()
    const { make } = await anew(() => import("../../src/layers/NodeHostRuntime.ts"))
    assert.isFalse(Effect.runSync(Effect.provide(make, Stdio.layerTest({}))).isolated)
  })

  interface Started {
    readonly versions: object
    readonly script: string
    /** Whether its entry asks whether it is a worker. */
    readonly asks: boolean
  }

  /** What a process of such a runtime starts a worker with. */
  const workerOf = async ({ asks, script, versions }: Started): Promise<ReadonlyArray<string> | undefined> => {
    replace(process, { versions: { ...process.versions, ...versions }, argv: [process.execPath, script] })
    const before = new Set(Object.getOwnPropertySymbols(globalThis))
    if (asks) {
      setOwnWorker()
      // The host may replace its arguments, and ask again.
      replace(process, { argv: [process.execPath, "/elsewhere.js"] })
      setOwnWorker()
    }
    const { current } = await anew(() => import("../../src/layers/NodeProcess.ts"))
    const { worker } = current
    for (const symbol of Object.getOwnPropertySymbols(globalThis)) {
      if (!before.has(symbol)) Reflect.deleteProperty(globalThis, symbol)
    }
    return worker
  }

  it("An executable of Bun on Windows starts its worker without a script", async () => {
    const bun = { versions: { bun: "1.4.5" }, asks: true }
    assert.deepStrictEqual(await workerOf({ ...bun, script: "B:\\~BUN\\root\\acme.exe" }), [])
    assert.deepStrictEqual(await workerOf({ ...bun, script: "B:\\acme.js" }), ["B:\\acme.js"])
  })

  it("An executable of Deno starts its worker without a script", async () => {
    const deno = { versions: { deno: "2.9.6" }, asks: true, script: "/app/acme.js" }
    const build = { standalone: true }
    Object.assign(globalThis, { Deno: { build } })
    onTestFinished(() => void Reflect.deleteProperty(globalThis, "Deno"))
    assert.deepStrictEqual(await workerOf(deno), [])
    build.standalone = false
    assert.deepStrictEqual(await workerOf(deno), ["/app/acme.js"])
  })

  it("An executable starts no file of a package as its worker", async () => {
    Object.assign(globalThis, { Deno: { build: { standalone: true } } })
    onTestFinished(() => void Reflect.deleteProperty(globalThis, "Deno"))
    assert.isUndefined(await workerOf({ versions: { deno: "2.9.6" }, asks: false, script: "/app/acme.js" }))
  })

  it("A process prefers the worker of a package to its own file, unless call sites may name files of the build machine", async () => {
    const file = Path.resolve(import.meta.dirname, "../../src/worker/main.ts")
    const script = "/app/acme.js"
    assert.deepStrictEqual(await workerOf({ versions: {}, asks: true, script }), [file])
    assert.deepStrictEqual(await workerOf({ versions: { bun: "1.4.5" }, asks: true, script }), [script])
  })

  it("A process on Windows finds the worker of a package on a runtime that names modules by their paths", async () => {
    const root = "D:\\app\\node_modules\\effect-cli-usage\\"
    replace(process.getBuiltinModule("node:util"), { getCallSites: () => [{ scriptName: `${root}layers\\Steady.js` }] })
    replace(NodeFs, { existsSync: (path: string) => path === `${root}worker/main.cjs` })
    const host = { versions: { bun: "1.4.5" }, script: "D:\\app\\main.js", asks: false }
    assert.deepStrictEqual(await workerOf(host), [`${root}worker/main.cjs`])
  })
})

test.live("A worker is started on Windows without a window, at the root of its drive, with the paths of Windows", function*() {
  withoutProc()
  const spawned: Array<ReadonlyArray<unknown>> = []
  replace(process.getBuiltinModule("node:child_process"), {
    spawn: (...args: ReadonlyArray<unknown>) => {
      spawned.push(args)
      return Object.assign(new EventEmitter(), { pid: process.pid, unref: () => {}, kill: () => true })
    }
  })
  const device = yield* Device.make
  const executable = "C:\\Program Files\\nodejs\\node.exe"
  const runtime = { ...Device.persistent, executable, worker: ["C:\\acme\\worker\\main.cjs"], uid: undefined }
  const env = { PATH: "C:\\bin;tools;D:\\bin", TEMP: "C:\\Temp", SystemRoot: "C:\\Windows" }
  yield* Effect.flatMap(
    WorkerProcess.make(filesOf(device), true),
    (start) => start({ lingers: false, isAwaited: true })
  )
    .pipe(
      Effect.provide(NodePath.layerWin32),
      Effect.provide(machineOf(device, { runtime })),
      Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromEnv({ env }))
    )
  const [[file, args, options] = [], ...more] = spawned
  assert.lengthOf(more, 0)
  assert.deepStrictEqual([file, args], [executable, [...runtime.worker, marker]])
  assert.deepInclude(options, { cwd: "C:\\", windowsHide: true, detached: true, stdio: "ignore" })
  assert.deepInclude(options, { env: { ...Object(options).env, ...env, PATH: "C:\\bin;D:\\bin" } })
})
