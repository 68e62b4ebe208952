/**
 * Files that are whole or absent, below the host's state home.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
import { type PlatformError, systemError } from "effect/PlatformError"
import * as Predicate from "effect/Predicate"
import * as Random from "effect/Random"
import type { StateHome } from "../domain/StateHome.ts"
import { Consent } from "../services/Consent.ts"
import { UsageSettings } from "../services/UsageSettings.ts"

/**
 * What reading a file gave: its bytes as text; nothing there; or something that must not or cannot be read.
 *
 * @category models
 * @since 0.1.0
 */
export type Read =
  | { readonly _tag: "Text"; readonly text: string }
  | { readonly _tag: "Missing" }
  | { readonly _tag: "Unreadable" }

/**
 * Consent was denied before the file could be published, so it was not.
 *
 * @category errors
 * @since 0.1.0
 */
export class ConsentDenied extends Data.TaggedError("ConsentDenied") {}

/**
 * Reads and publishes the module's files.
 *
 * @category services
 * @since 0.1.0
 */
export class StateFiles extends Context.Service<StateFiles, {
  readonly home: StateHome
  /** Reads a regular file of at most 1 MiB, without following a link. */
  readonly read: (path: string) => Effect.Effect<Read>
  /** Reads a file as a document; undefined where it is missing, unreadable or not one. */
  readonly decode: <A>(path: string, decode: (text: string) => Option.Option<A>) => Effect.Effect<A | undefined>
  /** Publishes a file that can be made only once; `false` where it was there already. */
  readonly publish: (path: string, text: string) => Effect.Effect<boolean, PlatformError | ConsentDenied>
  /** Publishes a file in the place of whatever was there. */
  readonly replace: (path: string, text: string) => Effect.Effect<void, PlatformError | ConsentDenied>
  /**
   * Makes a folder for another's files, where there is none, which nobody else can look into. Says whether what is written
   * into it stays below the home: neither it nor one above it, up to there, is a link.
   */
  readonly makeFolder: (folder: string) => Effect.Effect<boolean>
  /** The names in a folder, none where there is no folder. */
  readonly list: (path: string) => Effect.Effect<ReadonlyArray<string>>
  /** Removes a file or folder, if it is there. */
  readonly remove: (path: string) => Effect.Effect<void, PlatformError>
  /** Removes what killed processes left where files are written before they are published, and old compiled code. */
  readonly sweep: Effect.Effect<void>
  /** Moves a file, into a folder that is made where there is none. */
  readonly move: (from: string, to: string) => Effect.Effect<void, PlatformError | ConsentDenied>
}>()("effect-cli-usage/layers/StateFiles") {}

const maxBytes = 1024 * 1024

// Nobody takes an hour from a temp file to its publication but a suspended process, whose link or rename then fails.
const staleTempMillis = 60 * 60 * 1000

// A file is kept for each version of Node.js, of the worker, and of a host that is its own; nobody removes one. What is
// used again is made again.
const staleCodeMillis = 30 * 24 * 60 * 60 * 1000

const missing: Read = { _tag: "Missing" }
const unreadable: Read = { _tag: "Unreadable" }

/**
 * What was read as a document; undefined where it is none.
 *
 * @category getters
 * @since 0.1.0
 */
export const decoded = <A>(decode: (text: string) => Option.Option<A>) => (read: Read): A | undefined =>
  read._tag === "Text" ? Option.getOrUndefined(decode(read.text)) : undefined

const isNotFound = (error: PlatformError): boolean => error.reason._tag === "NotFound"

// What link(2) says on file systems without hard links (FAT, some network and user-space ones).
const noHardLinks = new Set(["EPERM", "ENOSYS", "ENOTSUP", "EOPNOTSUPP", "EMLINK"])

const hasNoHardLinks = (error: PlatformError): boolean =>
  Predicate.hasProperty(error.cause, "code") && Predicate.isString(error.cause.code) &&
  noHardLinks.has(error.cause.code)

// Nobody must guess a temp file's name, only not meet it: `wx` refuses one that is there. Loading a secure generator
// costs a worker 4 ms.
const tempName = Effect.map(
  Effect.all([Random.next, Random.next]),
  (numbers) => numbers.map((number) => number.toString(36).slice(2)).join("")
)

/**
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.gen(function*() {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const consent = yield* Consent
  const { home } = yield* UsageSettings

  const allowed = Effect.flatMap(
    consent.decision,
    (decision) => decision.enabled ? Effect.void : Effect.fail(new ConsentDenied())
  )

  // The home and this module's folder are looked at with consent. A folder below them that is a link would lead what is
  // written, moved or swept elsewhere.
  const real = new Set([home.root, home.usage])
  const isReal = (folder: string): Effect.Effect<boolean> =>
    real.has(folder) ? Effect.succeed(true) : Effect.matchEffect(fs.lstat(folder), {
      onFailure: (error) => isNotFound(error) ? isRealAbove(folder) : Effect.succeed(false),
      onSuccess: ({ type }) =>
        type !== "Directory"
          ? Effect.succeed(false)
          : Effect.map(isRealAbove(folder), (is) => {
            if (is) real.add(folder)
            return is
          })
    })

  // What is not below the home has no end but the root of all folders.
  const isRealAbove = (folder: string): Effect.Effect<boolean> => {
    const above = path.dirname(folder)
    return above === folder ? Effect.succeed(false) : isReal(above)
  }

  // `lstat` comes first: opening a FIFO waits for a writer, and a link must not be followed.
  const read = (file: string): Effect.Effect<Read> =>
    Effect.gen(function*() {
      const folder = path.dirname(file)
      if (!real.has(folder) && !(yield* isReal(folder))) return unreadable
      if ((yield* fs.lstat(file)).type !== "File") return unreadable
      const handle = yield* fs.open(file, { flag: "r", noFollow: true })
      // Of the file that was opened: another process may have put a longer one in its place since the look above, and half
      // an identity file would pass for an unusable one.
      const size = Number((yield* handle.stat).size)
      if (size > maxBytes) return unreadable
      const bytes = yield* handle.readAlloc(size + 1)
      const text = Option.match(bytes, {
        onNone: () => "",
        onSome: (bytes) => new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes)
      })
      return { _tag: "Text", text } as const
    }).pipe(
      Effect.scoped,
      Effect.catch((error) => Effect.succeed(isNotFound(error) ? missing : unreadable))
    )

  const inRealFolder = (file: string): Effect.Effect<void, PlatformError> =>
    Effect.flatMap(isReal(path.dirname(file)), (is) =>
      is ? Effect.void : Effect.fail(systemError({
        _tag: "BadResource",
        module: "StateFiles",
        method: "write",
        pathOrDescriptor: path.dirname(file),
        description: "it, or a folder above it, is no folder, or a link"
      })))

  // Folders are made when a write finds none, so that the usual write costs no look-up.
  const inFolder = <A>(file: string, write: Effect.Effect<A, PlatformError>): Effect.Effect<A, PlatformError> =>
    Effect.catchIf(
      write,
      isNotFound,
      () => Effect.andThen(fs.makeDirectory(path.dirname(file), { recursive: true, mode: 0o700 }), write)
    )

  // Looked at between the two: whoever disables telemetry after that takes the temp file away, and nothing is published.
  const withTemp = <A>(text: string, isMoved: boolean, use: (temp: string) => Effect.Effect<A, PlatformError>) =>
    Effect.flatMap(tempName, (name) => {
      const temp = path.join(home.temp, name)
      return Effect.andThen(
        inRealFolder(temp),
        inFolder(temp, fs.writeFileString(temp, text, { flag: "wx", mode: 0o600 }))
      ).pipe(
        Effect.andThen(allowed),
        Effect.andThen(Effect.suspend(() => use(temp))),
        // A rename that succeeded has taken the temp file along.
        Effect.onExit((exit) =>
          isMoved && Exit.isSuccess(exit) ? Effect.void : Effect.ignore(fs.remove(temp, { force: true }))
        )
      )
    })

  // A look that fails denies what is to be written. It takes nothing back: somebody may have read the claim already, or
  // sent its alias, and without it the anon id would be claimed once more.
  const isCertain: Effect.Effect<boolean> = Effect.matchEffect(fs.lstat(home.optOut), {
    onFailure: (error) =>
      isNotFound(error)
        ? Effect.map(consent.decision, (decision) => !decision.enabled)
        : Effect.succeed(false),
    onSuccess: () => Effect.succeed(true)
  })

  // What is published while `telemetry disable` is at work is taken back: either its clean-up comes later and removes
  // the file, or the opt-out came earlier and is seen here.
  const guarded = <A>(file: string, write: Effect.Effect<A, PlatformError | ConsentDenied>) =>
    allowed.pipe(
      Effect.andThen(inRealFolder(file)),
      Effect.andThen(write),
      Effect.tap(() =>
        Effect.catch(allowed, (denied) =>
          Effect.flatMap(isCertain, (certain) =>
            certain
              ? Effect.andThen(Effect.ignore(fs.remove(file, { force: true })), Effect.fail(denied))
              : Effect.void))
      ),
      Effect.uninterruptible
    )

  const exclusive = (temp: string, file: string, text: string) =>
    inFolder(
      file,
      Effect.catchIf(
        fs.link(temp, file),
        hasNoHardLinks,
        () => fs.writeFileString(file, text, { flag: "wx", mode: 0o600 })
      )
    )

  const list = Effect.fnUntraced(function*(folder: string) {
    return (yield* isReal(folder)) ? yield* Effect.orElseSucceed(fs.readDirectory(folder), () => []) : []
  })

  const sweep = (folder: string, afterMillis: number) =>
    Effect.gen(function*() {
      const now = yield* Clock.currentTimeMillis
      for (const name of yield* list(folder)) {
        const { mtime } = yield* fs.lstat(path.join(folder, name))
        const isStale = Option.exists(mtime, (time) => now - time.getTime() > afterMillis)
        if (isStale) yield* Effect.ignore(fs.remove(path.join(folder, name), { force: true }))
      }
    }).pipe(Effect.ignore)

  return StateFiles.of({
    home,
    read,
    decode: (file, decode) => Effect.map(read(file), decoded(decode)),
    publish: (file, text) =>
      guarded(file, withTemp(text, false, (temp) => Effect.as(exclusive(temp, file, text), true))).pipe(
        Effect.catchIf(
          (error) => error._tag === "PlatformError" && error.reason._tag === "AlreadyExists",
          () => Effect.succeed(false)
        )
      ),
    replace: (file, text) => guarded(file, withTemp(text, true, (temp) => inFolder(file, fs.rename(temp, file)))),
    makeFolder: (folder) =>
      Effect.flatMap(isReal(folder), (is) =>
        is
          ? Effect.isSuccess(fs.makeDirectory(folder, { recursive: true, mode: 0o700 }))
          : Effect.succeed(false)),
    list,
    remove: (target) => fs.remove(target, { force: true, recursive: true }),
    sweep: Effect.gen(function*() {
      yield* sweep(home.temp, staleTempMillis)
      for (const version of yield* list(home.compileCache)) {
        yield* sweep(path.join(home.compileCache, version), staleCodeMillis)
      }
    }),
    move: (from, to) =>
      allowed.pipe(
        Effect.andThen(inRealFolder(from)),
        Effect.andThen(inRealFolder(to)),
        Effect.andThen(inFolder(to, fs.rename(from, to)))
      )
  })
})

/**
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<
  StateFiles,
  never,
  FileSystem.FileSystem | Path.Path | Consent | UsageSettings
> = Layer.effect(StateFiles, make)
