/**
 * The soundness of the steady path, design §8: beside each command that is steady runs a twin that lives through the same
 * disks, and takes the whole path from its first event on. Each operation of both must leave the same disk, and so the
 * same messages.
 */
import * as Effect from "effect/Effect"
import * as Cold from "../../src/layers/Cold.ts"
import * as MemoryDisk from "../../src/layers/MemoryDisk.ts"
import { isRefused } from "../../src/services/Disk.ts"
import { watched } from "../fixtures/WatchedDisk.ts"
import { Actor } from "./Actor.ts"
import * as Host from "./Host.ts"
import * as Machine from "./Machine.ts"
import * as Program from "./Program.ts"
import * as Random from "./Random.ts"
import * as Trace from "./Trace.ts"

/** Called before a turn of an actor; what it returns is called after it, with the time, and whether it was disturbed. */
export type Follow = (turn: {
  readonly index: number
  readonly what: Program.Actor
  readonly disk: MemoryDisk.MemoryDisk
  readonly now: number
  readonly trace: Trace.Trace
}) => ((now: number, isDisturbed: boolean) => void) | undefined

interface Twin {
  readonly actor: Actor
  readonly time: { now: number }
  /** The ids that it made, with those that the steady command made for the same. */
  readonly ids: Map<string, string>
  disk: MemoryDisk.MemoryDisk
}

/** A copy with the same times. */
const copyOf = (disk: MemoryDisk.MemoryDisk, time: { now: number }, hasLinks: boolean): MemoryDisk.MemoryDisk => {
  const copy = watched(MemoryDisk.make({ now: () => time.now }), { hasLinks })
  const { now } = time
  for (const [path, text] of disk.entries()) {
    const entry = disk.look(path)
    time.now = isRefused(entry) ? now : entry.modifiedAt
    if (text === undefined) copy.makeFolder(path)
    else copy.create(path, text)
  }
  time.now = now
  return copy
}

const uuids = /[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/g

const uuidsOn = (disk: MemoryDisk.MemoryDisk): ReadonlySet<string> =>
  new Set([...disk.entries()].flatMap(([path, text]) => `${path} ${text}`.match(uuids) ?? []))

// The whole path notes what it parsed from its input, which the steady path had found there. After the cache was lost, it
// also notes once more what a response says of a credential.
const withoutNotes = (text: string | undefined, isLost: boolean): string => {
  try {
    const { credentials, input: _, ...known } = JSON.parse(text ?? "")
    return JSON.stringify(isLost ? known : { ...known, credentials })
  } catch {
    return String(text)
  }
}

// A command may be interrupted before its twin begins. The size of a message is in its name.
const withoutDuration = (text: string): string =>
  text.replace(/"duration_ms":\d+/, "\"duration_ms\":0").replace(/-\d+\.json: /, ".json: ")

const linesOf = (disk: MemoryDisk.MemoryDisk, isCacheLost: boolean): ReadonlyArray<string> =>
  [...disk.entries()].map(([path, text]) =>
    path === Trace.paths.known ? `${path}: ${withoutNotes(text, isCacheLost)}` : withoutDuration(`${path}: ${text}`)
  )

/** Whether a line of the whole path's disk says the same: it has made its own ids for what had none. */
const isSame = (steady: string, whole: string, { ids }: Twin, named: ReadonlySet<string>): boolean => {
  const wholeIds = whole.match(uuids) ?? []
  const pairs = (steady.match(uuids) ?? []).map((id, at) => [id, wholeIds[at] ?? ""] as const)
  for (const [id, made] of pairs) if (!named.has(id) && !named.has(made) && !ids.has(made)) ids.set(made, id)
  return steady.replaceAll(uuids, "") === whole.replaceAll(uuids, "") &&
    pairs.every(([id, made]) => id === (ids.get(made) ?? made))
}

const start = (program: Program.Program, index: number, command: Program.Command, invocation: string): Twin => {
  const random = Random.make(program.seed + 1000 + index)
  const time = { now: 0 }
  const twin: Twin = {
    time,
    ids: new Map(),
    disk: MemoryDisk.make(),
    actor: new Actor({
      time,
      onWait: () => ({ errno: undefined, isPassedOver: false }),
      onProblem: () => {},
      onOutput: () => {},
      isAnswered: command.api !== "hangs"
    })
  }
  const { actor } = twin
  const ids = [invocation]
  let reads = 0
  const host = Host.command(command, {
    home: Trace.home,
    disk: new Proxy(twin.disk, { get: (_, key) => Reflect.get(twin.disk, key) }),
    uuid: () => ids.pop() ?? random.uuid(),
    runtime: Program.runtimes[command.runtime]
  }, {
    stored: Trace.paths.stored,
    // It begins as the steady command does; but then its input is one that nothing is known of.
    variables: () => (reads += 1) > 2 ? { TWIN: "1" } : {},
    cold: Effect.succeed(Cold),
    read: Effect.map(
      actor.ask(Machine.ofHost("read")),
      () => Trace.textOn(twin.disk, Trace.paths.stored)
    ),
    store: () => Effect.die("a login is not steady"),
    remove: Effect.die("a logout is not steady"),
    response: Effect.asVoid(actor.ask(Machine.ofHost("response"))),
    answer: actor.answer,
    answers: Effect.sync(() => void actor.answerOne()),
    boundary: () => actor.next,
    onBegin: () => {},
    onCaptured: () => {},
    onBlind: () => {}
  })
  actor.begin(Effect.scoped(host))
  return twin
}

/** Compares each turn in which a command is steady; `onCompared` gets the turn in which the paths differ. */
export const follow = (program: Program.Program, onCompared: (difference: string | undefined) => void): Follow => {
  const twins = new Map<number, Twin>()
  const lost = new Set<number>()
  return ({ disk, index, now: began, trace, what }) => {
    if (what._tag !== "Command" || what.resolver === "own" || trace.whole.has(index) || lost.has(index)) {
      return undefined
    }
    const time = { now: began }
    const before = copyOf(disk, time, program.hasLinks)
    return (now, isDisturbed) => {
      if (isDisturbed) lost.add(index)
      const invocation = trace.invocations.get(index)
      if (trace.whole.has(index) || lost.has(index) || invocation === undefined) return
      const twin = twins.get(index) ?? start(program, index, what, invocation)
      twins.set(index, twin)
      const named = new Set([...uuidsOn(before), invocation])
      twin.disk = before
      twin.time.now = began
      twin.actor.turn()
      const isCacheLost = trace.changes.some(({ actor, path }) =>
        path === Trace.paths.known && program.actors[actor]?._tag === "Tamper"
      )
      const steady = linesOf(disk, isCacheLost)
      const whole = linesOf(before, isCacheLost)
      const parted = Array.from({ length: Math.max(steady.length, whole.length) }).flatMap((_, at) => {
        const [one = "nothing", other = "nothing"] = [steady[at], whole[at]]
        return isSame(one, other, twin, named) ? [] : [`steady: ${one}\n  whole: ${other}`]
      })
      if (twin.time.now !== now) parted.push("the whole path waits")
      onCompared(parted.length === 0 ? undefined : `${trace.ops.at(-1)?.name} of #${index}: ${parted.join("\n  ")}`)
    }
  }
}
