/**
 * State files of a dry run: read from disk, written to memory.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Path from "effect/Path"
import type { PlatformError } from "effect/PlatformError"
import type { Consent } from "../services/Consent.ts"
import type { UsageSettings } from "../services/UsageSettings.ts"
import * as Files from "./StateFiles.ts"

/**
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.gen(function*() {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const files = yield* Files.make
  // What this process has written; `undefined` for what it has removed.
  const written = new Map<string, string | undefined>()

  const read = (file: string): Effect.Effect<Files.Read> =>
    Effect.suspend(() => {
      if (!written.has(file)) return files.read(file)
      const text = written.get(file)
      return Effect.succeed(text === undefined ? { _tag: "Missing" } : { _tag: "Text", text })
    })

  const set = (file: string, text: string | undefined) => Effect.sync(() => void written.set(file, text))

  // A write that would fail, fails: at the folder that is there already.
  const writable = (folder: string): Effect.Effect<void, PlatformError> =>
    Effect.catchIf(
      fs.access(folder, { writable: true }),
      (error) => error.reason._tag === "NotFound" && path.dirname(folder) !== folder,
      () => writable(path.dirname(folder))
    )

  return Files.StateFiles.of({
    home: files.home,
    read,
    decode: (file, decode) => Effect.map(read(file), Files.decoded(decode)),
    publish: (file, text) =>
      Effect.flatMap(
        Effect.andThen(writable(path.dirname(file)), read(file)),
        (before) => before._tag === "Missing" ? Effect.as(set(file, text), true) : Effect.succeed(false)
      ),
    replace: (file, text) => Effect.andThen(writable(path.dirname(file)), set(file, text)),
    list: (folder) =>
      Effect.map(files.list(folder), (names) => {
        const own = [...written.keys()].filter((file) => path.dirname(file) === folder).map((file) =>
          path.basename(file)
        )
        return [...new Set([...names, ...own])].filter((name) => {
          const file = path.join(folder, name)
          return !written.has(file) || written.get(file) !== undefined
        })
      }),
    makeFolder: () => Effect.succeed(false),
    remove: (file) => set(file, undefined),
    sweep: Effect.void,
    move: (from, to) =>
      Effect.flatMap(
        read(from),
        (before) => before._tag === "Text" ? Effect.andThen(set(from, undefined), set(to, before.text)) : Effect.void
      )
  })
})

/**
 * What is written stays in this process, and it alone reads it.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<
  Files.StateFiles,
  never,
  FileSystem.FileSystem | Path.Path | Consent | UsageSettings
> = Layer.effect(Files.StateFiles, make)
