/** `dictionary`: writes down what a CLI sends. */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
import * as Predicate from "effect/Predicate"
import { pathToFileURL } from "node:url"
import type * as DataDictionary from "../cli/DataDictionary.ts"
import * as TelemetryPage from "./TelemetryPage.ts"
import { userError } from "./UserError.ts"

const isEvent = (value: unknown): value is DataDictionary.Declared =>
  Predicate.hasProperty(value, "name") && Predicate.isString(value.name) &&
  Predicate.hasProperty(value, "description") && Predicate.isString(value.description) &&
  Predicate.hasProperty(value, "properties") && Predicate.hasProperty(value.properties, "ast")

const isDictionary = (value: unknown): value is DataDictionary.DataDictionary =>
  Predicate.hasProperty(value, "common") && Array.isArray(value.common) &&
  Predicate.hasProperty(value, "events") && Array.isArray(value.events)

const isPlain = (value: object): boolean => [Object.prototype, null].includes(Object.getPrototypeOf(value))

interface Found {
  readonly events: ReadonlyArray<DataDictionary.Declared>
  readonly dictionaries: ReadonlyArray<DataDictionary.DataDictionary>
}

// A getter of a host's object may throw.
const valuesOf = (value: object): ReadonlyArray<unknown> =>
  Object.keys(value).flatMap((key) => {
    try {
      return [Reflect.get(value, key)]
    } catch {
      return []
    }
  })

// Returns each event and dictionary of a module once, also those in lists, plain objects, flows and exported modules.
const find = (exports: object): Found => {
  const events: Array<DataDictionary.Declared> = []
  const dictionaries: Array<DataDictionary.DataDictionary> = []
  const seen = new Set<unknown>()
  const visit = (value: unknown): void => {
    if (!Predicate.isObjectOrArray(value) || seen.has(value)) return
    seen.add(value)
    if (isEvent(value)) events.push(value)
    else if (isDictionary(value)) dictionaries.push(value)
    else if (Array.isArray(value) || isPlain(value)) valuesOf(value).forEach(visit)
    // An instance of a class may be a flow.
    else if ("events" in value) visit(value.events)
  }
  visit(exports)
  return { events, dictionaries }
}

// Loaded from the CLI's package: its schemas need the CLI's own Effect, and the kit is published with one of its own.
const ofHost = Effect.promise(() => import("../cli/DataDictionary.ts"))

const load = Effect.fnUntraced(function*(module: string) {
  const path = yield* Path.Path
  const file = path.resolve(module)
  // A module that starts its CLI must neither record a command nor read the arguments of this one.
  process.env["DO_NOT_TRACK"] = "1"
  process.argv = [process.execPath, file]
  const exports = yield* Effect.tryPromise({
    try: (): Promise<object> => import(pathToFileURL(file).href),
    catch: (cause) => userError(`${module} cannot be loaded: ${String(cause)}`, cause)
  })
  const { dictionaries: [whole, ...more], events } = yield* Effect.try({
    try: () => find(exports),
    catch: (cause) => userError(`${module}: ${String(cause)}`, cause)
  })
  if (more.length > 0) {
    return yield* userError(`${module} exports ${more.length + 1} data dictionaries. Export one, with every event`)
  }
  if (whole !== undefined) {
    const missing = events.filter(({ name }) => !whole.events.some((entry) => entry.name === name))
    if (missing.length === 0) return whole
    const names = missing.map(({ name }) => `"${name}"`).join(", ")
    return yield* userError(
      `${module} exports events that its data dictionary does not have: ${names}. Give them to DataDictionary.make`
    )
  }
  if (events.length === 0) {
    return yield* userError(`${module} exports no event, no flow and no data dictionary`)
  }
  const { make } = yield* ofHost
  return yield* Effect.try({
    try: () => make(events),
    catch: (cause) => userError(`${module}: ${String(cause)}`, cause)
  })
})

// What the module has opened, such as a connection, must not keep the process running. This timer does not keep it running
// itself: it fires only if something else does.
const endSoon = Effect.sync(() => void setTimeout(() => process.exit(), 100).unref())

// An author with two modules of events names both, or a pattern: the second one would be overwritten.
const isModule = (file: string): boolean => /\.[cm]?[jt]sx?$/i.test(file)

export const command = Command.make(
  "dictionary",
  {
    check: Flag.Boolean("check").pipe(
      Flag.withDescription("Write nothing, and exit with 1 if a file is out of date"),
      Flag.withDefault(false)
    ),
    json: Flag.Boolean("json").pipe(Flag.withDescription("Print JSON instead of Markdown"), Flag.withDefault(false)),
    name: Flag.String("name").pipe(
      Flag.withDescription("The CLI's name as users type it, for --telemetry"),
      Flag.optional
    ),
    telemetry: Flag.String("telemetry").pipe(
      Flag.withDescription("A page for users to write: what is collected, and how to turn it off"),
      Flag.optional
    ),
    module: Argument.String("module").pipe(
      Argument.withDescription("A module that exports the CLI's events and flows, or its data dictionary")
    ),
    files: Argument.String("file").pipe(
      Argument.withDescription("Files to write, JSON where the name ends in .json; without one it is printed"),
      Argument.variadic()
    )
  },
  Effect.fnUntraced(function*({ check, files, json, module, name, telemetry }) {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const source = [...files, ...Option.toArray(telemetry)].find(isModule)
    if (source !== undefined) {
      return yield* userError(
        `${source} is a module, and a dictionary is not written there. One module is read: export the events of the ` +
          "others from it"
      )
    }
    const dictionary = yield* load(module)
    const { toJson, toMarkdown } = yield* ofHost
    const textOf = (isJson: boolean) => isJson ? toJson(dictionary) : toMarkdown(dictionary)
    const written = files.map((file) => ({ file, text: textOf(file.endsWith(".json")) }))
    if (Option.isSome(telemetry)) {
      if (Option.isNone(name)) {
        return yield* userError("--telemetry needs --name: the page says how users of the CLI turn telemetry off")
      }
      written.push({ file: telemetry.value, text: TelemetryPage.make(dictionary, name.value) })
    }
    if (check && written.length === 0) {
      return yield* userError("--check needs the names of the files to compare")
    }
    if (written.length === 0) return yield* Console.log(textOf(json).trimEnd())
    const stale = yield* Effect.filter(written, ({ file, text }) =>
      check
        // Git may check a file out with `\r\n`.
        ? Effect.map(
          Effect.orElseSucceed(fs.readFileString(file), () => ""),
          (there) => there.replaceAll("\r\n", "\n") !== text
        )
        : Effect.as(
          Effect.andThen(
            fs.makeDirectory(path.dirname(file), { recursive: true }),
            fs.writeFileString(file, text)
          ).pipe(Effect.mapError((cause) => userError(`${file}: ${cause.message}`, cause))),
          false
        ))
    if (stale.length > 0) {
      const names = stale.map(({ file }) => file).join(", ")
      return yield* userError(
        `${names}: out of date. People read there what a CLI records. Run the same command without --check, and commit ` +
          "the files."
      )
    }
  }, Effect.ensuring(endSoon))
).pipe(Command.withDescription("Write down what a CLI sends: each event and its properties"))
