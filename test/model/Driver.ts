/**
 * One actor of a program as a process of its own, on a real disk: it waits for a line on stdin, does its task,
 * and keeps a journal beside the home, a line before and after each thing that others could see.
 */
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as NCrypto from "node:crypto"
import * as NFS from "node:fs"
import * as Cold from "../../src/layers/Cold.ts"
import * as NodeDisk from "../../src/layers/NodeDisk.ts"
import type { Disk, Errno } from "../../src/services/Disk.ts"
import * as FaultyDisk from "../fixtures/FaultyDisk.ts"
import * as Host from "./Host.ts"
import * as Program from "./Program.ts"
import * as Random from "./Random.ts"
import * as Trace from "./Trace.ts"

/** The task of a driver: its one argument, as JSON. */
export interface Task {
  readonly home: string
  readonly journal: string
  readonly actor: Program.Actor
  readonly seed: number
  /** The longest, in milliseconds, that it waits before a step on the disk. */
  readonly maxWait: number
}

/** A line of the journal; `t` is the machine's monotonic clock, in microseconds. */
export type Entry =
  & { readonly t: number }
  & (
    | { readonly _tag: "Begin"; readonly name: string; readonly op: Program.Op | Program.Outside | null }
      & { readonly anonId: string | null; readonly stored: string | null }
    | { readonly _tag: "Invocation"; readonly id: string }
    | { readonly _tag: "Storing"; readonly secret: string | null }
    | { readonly _tag: "Sent"; readonly text: string }
    | { readonly _tag: "Intent"; readonly method: Method; readonly path: string; readonly text: string }
    | { readonly _tag: "End" | "Whole" | "Captured" | "Stored" | "Changed" | "Unchanged" }
  )

type Method = "link" | "rename" | "remove" | "create"

const now = (): number => Number(process.hrtime.bigint() / 1000n)

const main = (task: Task): Effect.Effect<void> => {
  const random = Random.make(task.seed)
  const journal = NFS.openSync(task.journal, "a", 0o600)
  const say = (entry: Entry): void => void NFS.writeSync(journal, `${JSON.stringify(entry)}\n`)

  // The invariants know one home.
  const outside = (path: string): string =>
    path.startsWith(task.home) ? Trace.home + path.slice(task.home.length) : path
  const inside = (path: string): string => task.home + path.slice(Trace.home.length)
  const text = (path: string): string | undefined => Trace.textOn(NodeDisk.disk, path)

  const cell = new Int32Array(new SharedArrayBuffer(4))
  const wait = (): undefined => {
    if (random.chance(0.5)) Atomics.wait(cell, 0, 0, random.next() * task.maxWait)
  }

  const journaled = (
    method: Method,
    path: string,
    content: string | undefined,
    change: () => Errno | undefined
  ): Errno | undefined => {
    if (outside(path).startsWith(`${Trace.paths.temp}/`)) return change()
    wait()
    say({ _tag: "Intent", t: now(), method, path: outside(path), text: content ?? "" })
    const code = change()
    say({ _tag: code === undefined ? "Changed" : "Unchanged", t: now() })
    return code
  }
  const real = NodeDisk.disk
  const disk: Disk = {
    ...FaultyDisk.interposed(wait, real),
    link: (from, to) => journaled("link", to, text(from), () => real.link(from, to)),
    rename: (from, to) => journaled("rename", to, text(from), () => real.rename(from, to)),
    remove: (path) => journaled("remove", path, undefined, () => real.remove(path)),
    create: (path, content) => journaled("create", path, content, () => real.create(path, content))
  }

  const machine = (runtime: Program.RuntimeName): Host.Machine => ({
    home: task.home,
    disk,
    uuid: () => NCrypto.randomUUID(),
    runtime: Program.runtimes[runtime]
  })

  const stored = inside(Trace.paths.stored)
  const setStored = (secret: Program.Secret | undefined): void => {
    say({ _tag: "Storing", t: now(), secret: secret ?? null })
    if (secret === undefined) NFS.rmSync(stored, { force: true })
    else {
      // As a host does that does not want to leave half a key.
      const temp = `${stored}.${process.pid}`
      NFS.writeFileSync(temp, secret, { mode: 0o600 })
      NFS.renameSync(temp, stored)
    }
    say({ _tag: "Stored", t: now() })
  }

  const begin = (name: string, op: Program.Op | Program.Outside | undefined): void =>
    say({
      _tag: "Begin",
      t: now(),
      name,
      op: op ?? null,
      anonId: Trace.anonIdOn((path) => text(inside(path))) ?? null,
      stored: text(stored) ?? null
    })
  const end = (): void => say({ _tag: "End", t: now() })

  const soon = (millis: number) => Effect.suspend(() => Effect.sleep(random.next() * millis))

  const act = (actor: Program.Actor): Effect.Effect<unknown, unknown, Scope.Scope> => {
    switch (actor._tag) {
      case "Command":
        return Host.command(actor, machine(actor.runtime), {
          stored,
          variables: () => ({}),
          cold: Effect.suspend(() => {
            say({ _tag: "Whole", t: now() })
            return Effect.as(soon(2), Cold)
          }),
          read: Effect.sync(() => {
            wait()
            return text(stored)
          }),
          store: (secret) => Effect.sync(() => setStored(secret)),
          remove: Effect.sync(() => setStored(undefined)),
          response: soon(3),
          answer: soon(6),
          answers: Effect.sleep(3),
          boundary: (name, op) =>
            Effect.sync(() => {
              end()
              begin(name, op)
            }),
          onBegin: (id) => say({ _tag: "Invocation", t: now(), id }),
          onCaptured: () => say({ _tag: "Captured", t: now() }),
          onBlind: () => {}
        })
      case "Store":
        return Effect.sync(() => setStored(actor.secret))
      case "Lose":
        return Effect.sync(() => setStored(undefined))
      case "Drain":
        return Host.drain(machine("terminal"), {
          taken: actor.taken,
          isDenied: () => Trace.isOn(real, inside(Trace.paths.optOut)),
          send: (messages) =>
            Effect.andThen(
              soon(2),
              Effect.sync(() => {
                for (const message of messages) say({ _tag: "Sent", t: now(), text: JSON.stringify(message) })
              })
            )
        })
      case "Disable":
      case "Enable":
        return Host.optOut(machine("terminal"), actor._tag === "Disable")
      case "Delete":
        return Effect.sync(() => NFS.rmSync(inside(Trace.paths.pointer), { force: true }))
      case "Truncate":
        return Effect.sync(() => {
          const pointer = inside(Trace.paths.pointer)
          if (text(pointer) === undefined) return
          NFS.writeFileSync(pointer, Trace.before.unusable)
          NFS.utimesSync(pointer, Date.now() / 1000 - 60, Date.now() / 1000 - 60)
        })
      case "Rewrite": {
        const content = text(inside(Trace.paths.pointer))
        if (Trace.parse(content) === undefined || content === undefined) return Effect.void
        return Effect.scoped(Effect.flatMap(
          Effect.acquireRelease(
            Effect.sync(() => NFS.openSync(inside(Trace.paths.pointer), "r+")),
            (fd) => Effect.sync(() => NFS.closeSync(fd))
          ),
          (fd) => {
            NFS.ftruncateSync(fd, actor.isEmpty ? 0 : content.length / 2)
            return Effect.map(soon(2), () => NFS.writeSync(fd, content, 0))
          }
        ))
      }
      case "Link":
      case "Replace": {
        const pointer = inside(Trace.paths.pointer)
        const content = Trace.otherTool(actor, text(pointer), () => NCrypto.randomUUID())
        const temp = `${pointer}.tool`
        return Effect.map(
          soon(2),
          () => content === undefined ? undefined : disk.create(temp, content) ?? disk.rename(temp, pointer)
        )
      }
      case "Wait":
      case "Tamper":
      case "Work":
      case "Telemetry":
        return Effect.void
    }
  }

  return Effect.sync(() =>
    begin(
      task.actor._tag === "Command" ? "begin" : task.actor._tag,
      task.actor._tag === "Command" ? undefined : task.actor
    )
  ).pipe(
    Effect.andThen(Effect.scoped(act(task.actor))),
    Effect.ignore,
    Effect.andThen(Effect.sync(end)),
    Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromEnv({ env: {} }))
  )
}

/** Runs the task of this process. */
export const run = (): void => {
  const task: Task = JSON.parse(process.argv[2] ?? "{}")
  process.stdout.write("ready\n")
  process.stdin.once("data", () => {
    void Effect.runPromise(main(task)).then(() => process.exit(0))
  })
}
