/**
 * What a run of a program wrote down: the changes of its device's disk, and the messages on the wire.
 */
import * as NCrypto from "node:crypto"
import type * as MemoryDisk from "../../src/layers/MemoryDisk.ts"
import { type Disk, isRefused } from "../../src/services/Disk.ts"
import type * as WatchedDisk from "../fixtures/WatchedDisk.ts"
import * as Program from "./Program.ts"

// == what is written down

/** A change of the disk by an actor: others may have seen it from `since` on, and see it from `t` on. */
export interface Change extends WatchedDisk.Change {
  readonly since: number
  readonly t: number
  readonly actor: number
}

/** An operation of an actor; it has no end where the actor was killed in it. */
export interface Done {
  readonly actor: number
  readonly name: string
  readonly op: Program.Op | Program.Outside | undefined
  readonly start: number
  /** The anon id that the disk led to when it began. */
  readonly anonId: string | undefined
  readonly stored: string | undefined
  /** Whether the host could not do its own part of it. */
  hasFailed: boolean
  end: number | undefined
  /** The anon id that the disk led to when it ended. */
  anonIdAtEnd?: string | undefined
}

export class Trace {
  readonly program: Program.Program
  readonly disk: MemoryDisk.MemoryDisk
  readonly changes: Array<Change> = []
  /** The messages as a worker sent them. */
  readonly wire: Array<{ readonly t: number; readonly text: string }> = []
  readonly ops: Array<Done> = []
  /** The captures that returned, by actor. */
  readonly captured = new Map<number, number>()
  /** Actors that the disk failed. */
  readonly failed = new Set<number>()
  /** What the disk refused, and to whom. */
  readonly refused: Array<{ readonly actor: number; readonly method: string; readonly path: string }> = []
  /** Commands whose own resolver could not read the credential that was there. */
  readonly blind = new Set<number>()
  readonly invocations = new Map<number, string>()
  /** When a command began to load the whole path: what it recorded before was recorded by the steady path. */
  readonly whole = new Map<number, number>()
  /** The stored credential, whenever it changed; `until` where that was not over at once. */
  readonly credentials: Array<{ t: number; until?: number; actor: number; secret: string | undefined }> = []
  steps = 0
  faults = 0
  /** How often a file that can be made only once was there already. */
  races = 0
  /** What should not happen to the machine itself. */
  readonly problems: Array<string> = []

  constructor(program: Program.Program, disk: MemoryDisk.MemoryDisk) {
    this.program = program
    this.disk = disk
  }
}

// == reading

/** An object of a JSON text; nothing for what is not one. */
export const parse = (text: string | undefined): Readonly<Record<string, unknown>> | undefined => {
  try {
    const value: unknown = JSON.parse(text ?? "")
    return isObject(value) ? value : undefined
  } catch {
    return undefined
  }
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

export const textIn = (value: unknown): string => typeof value === "string" ? value : ""

/** A text in an object of a JSON text; nothing for what is none. */
const fieldOf = (text: string | undefined, name: string): string | undefined => textIn(parse(text)?.[name]) || undefined

// == the device

export const home = "/home"
export const paths = {
  pointer: `${home}/usage.json`,
  former: `${home}/telemetry.json`,
  usage: `${home}/usage`,
  temp: `${home}/usage/tmp`,
  claims: `${home}/usage/claims`,
  successors: `${home}/usage/successors`,
  known: `${home}/usage/known.json`,
  optOut: `${home}/usage/opt-out`,
  events: `${home}/usage/outbox/destination/events`,
  policy: "/etc/acme/usage.json",
  /** Where the host keeps its user's key. */
  stored: `${home}/credentials.yaml`
}

/** What an identity file says that another tool wrote, and the ids in it. */
export const before = {
  anonId: "00000000-0000-4000-8000-000000000000",
  unusable: "{ \"anon_id\": ",
  linked: "acct_a",
  former: JSON.stringify({ device_id: "00000000-0000-4000-8000-000000000000", enabled: true }),
  illegal: "undefined"
}

const pointerText = (anonId: string, linked: string | null) =>
  JSON.stringify({ anon_id: anonId, linked_principal_id: linked }, null, 2)

export const initialPointer: Record<Program.Initial, string | undefined> = {
  empty: undefined,
  identity: pointerText(before.anonId, null),
  unusable: before.unusable,
  linked: pointerText(before.anonId, before.linked),
  "linked illegally": pointerText(before.anonId, before.illegal)
}

/** The text of a file; undefined where there is none. */
export const textOn = (disk: Disk, path: string): string | undefined => {
  const read = disk.read(path)
  return read._tag === "Text" ? read.text : undefined
}

/** The names in a folder; none where there is no folder. */
export const namesOn = (disk: Disk, folder: string): ReadonlyArray<string> => {
  const names = disk.list(folder)
  return isRefused(names) ? [] : names
}

export const isOn = (disk: Disk, path: string): boolean => !isRefused(disk.look(path))

/** The anon id that a disk leads to, read as §4.1 says. */
export const anonIdOn = (text: (path: string) => string | undefined): string | undefined => {
  let anonId = fieldOf(text(paths.pointer), "anon_id")
  const seen = new Set<string>()
  while (anonId !== undefined && !seen.has(anonId)) {
    seen.add(anonId)
    const next: string | undefined = fieldOf(text(`${paths.successors}/${anonId}.json`), "anon_id")
    if (next === undefined) return anonId
    anonId = next
  }
  return anonId
}

/** What another tool makes of the identity file, in two steps: it links the anon id, or replaces it. */
export const otherTool = (
  op: Program.Outside & { readonly _tag: "Link" | "Replace" },
  text: string | undefined,
  uuid: () => string
): string | undefined => {
  const anonId = fieldOf(text, "anon_id")
  if (op._tag === "Replace") return text === undefined ? undefined : pointerText(uuid(), null)
  const linked = fieldOf(text, "linked_principal_id")
  const isFree = anonId !== undefined && (linked === undefined || !Program.legal.has(linked))
  return isFree ? pointerText(anonId, op.principal) : undefined
}

// == facts

export const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

/** A message as it was recorded: an event in the outbox, or an alias in a claim. */
export interface Recorded {
  readonly since: number
  readonly t: number
  readonly actor: number
  readonly path: string
  readonly text: string
  readonly distinctId: string
  /** The anon id that it aliases; empty for an event. */
  readonly alias: string
  readonly isPersonless: boolean
  readonly session: string
  readonly invocation: string
  readonly sequence: unknown
  readonly uuid: string
  readonly timestamp: string
}

const message = (
  value: unknown,
  at: { readonly since: number; readonly t: number; readonly actor: number; readonly path: string }
): Recorded | undefined => {
  if (!isObject(value) || !isObject(value["properties"])) return undefined
  const { properties } = value
  return {
    ...at,
    text: JSON.stringify(value),
    distinctId: textIn(value["distinct_id"]),
    alias: value["event"] === "$create_alias" ? textIn(properties["alias"]) : "",
    isPersonless: properties["$process_person_profile"] === false,
    session: textIn(properties["$session_id"]),
    invocation: textIn(properties["invocation_id"]),
    sequence: properties["sequence"],
    uuid: textIn(value["uuid"]),
    timestamp: textIn(value["timestamp"])
  }
}

export interface ClaimMade {
  readonly since: number
  readonly t: number
  readonly actor: number
  /** When the operation began that made it. */
  readonly begun: number
  readonly anonId: string
  readonly principal: string
  /** Whether another tool had linked the anon id. */
  readonly isAdopted: boolean
  readonly alias: Recorded | undefined
}

/** A change that puts a file where others read it. */
export const publishes = ({ method }: Change) => method === "link" || method === "rename" || method === "create"

export const isIn = (folder: string, path: string) => path.startsWith(`${folder}/`)

/** What a successor came after: an anon id, or the hash of something unusable; empty for any other change. */
export const succeeds = ({ path }: Change): string =>
  isIn(paths.successors, path) ? path.slice(paths.successors.length + 1, -".json".length) : ""

/** When the operation began that an actor was in. */
export const begunAt = (trace: Trace, actor: number, t: number): number =>
  trace.ops.findLast((op) => op.actor === actor && op.start <= t)?.start ?? 0

/** What a trace says, read once. */
export interface Facts {
  readonly trace: Trace
  readonly events: ReadonlyArray<Recorded>
  readonly claims: ReadonlyArray<ClaimMade>
  /** Events, and the aliases of claims. */
  readonly messages: ReadonlyArray<Recorded>
  readonly wire: ReadonlyArray<Recorded>
}

/** Reads a trace. */
export const factsOf = (trace: Trace): Facts => {
  const events: Array<Recorded> = []
  const claims: Array<ClaimMade> = []
  for (const change of trace.changes) {
    if (!publishes(change)) continue
    const value = parse(change.text)
    if (isIn(paths.events, change.path)) {
      const event = message(value?.["message"], change)
      if (event !== undefined) events.push(event)
    }
    if (isIn(paths.claims, change.path) && change.path.endsWith(".json") && value !== undefined) {
      claims.push({
        since: change.since,
        t: change.t,
        actor: change.actor,
        begun: begunAt(trace, change.actor, change.t),
        anonId: textIn(value["anon_id"]),
        principal: textIn(value["principal_id"]),
        isAdopted: value["learned_by"] === "adopted",
        alias: message(value["alias"], change)
      })
    }
  }
  const aliases = claims.flatMap(({ alias }) => alias === undefined ? [] : [alias])
  return {
    trace,
    events,
    claims,
    messages: [...events, ...aliases].toSorted((a, b) => a.t - b.t),
    wire: trace.wire.flatMap(({ t, text }) => message(parse(text), { since: t, t, actor: -1, path: "" }) ?? [])
  }
}

/** The principals of credentials in the cache on the disk; null for one without an answer, `?` for an unknown one. */
export const knownOn = (trace: Trace): ReadonlyMap<string, string | null> => {
  const document = parse(textOn(trace.disk, paths.known))
  const entries: unknown = document?.["credentials"]
  const known = new Map<string, string | null>()
  for (const entry of Array.isArray(entries) ? entries.filter(isObject) : []) {
    // The configuration, between the salt and the credential, is empty.
    const secret = Program.secrets.find((one) =>
      NCrypto.createHash("sha256").update(`${String(document?.["salt"])}\n\n${one}`).digest("hex") ===
        entry["fingerprint"]
    )
    const principal = entry["principal_id"]
    known.set(secret ?? "?", typeof principal === "string" ? principal : null)
  }
  return known
}
