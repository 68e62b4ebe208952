/**
 * The opt-out as a file whose existence is the answer: `usage/opt-out`.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Path from "effect/Path"
import type { PlatformError } from "effect/PlatformError"
import * as StateHome from "../domain/StateHome.ts"
import { OptOut, OptOutError } from "../services/OptOut.ts"
import { UsageSettings } from "../services/UsageSettings.ts"

/**
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.gen(function*() {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const { codec, home: root } = yield* UsageSettings
  const home = StateHome.make(path, root, codec.fileName)

  const failure = Effect.mapError((cause: PlatformError) => new OptOutError({ path: home.optOut, cause }))

  const { withConsent } = codec
  const writeConsent = Effect.fnUntraced(function*(given: boolean) {
    if (withConsent === undefined) return
    const text = yield* Effect.orElseSucceed(fs.readFileString(home.identity), () => undefined)
    const temp = `${home.optOut}.${codec.fileName}`
    yield* fs.makeDirectory(home.usage, { recursive: true, mode: 0o700 })
    yield* fs.writeFileString(temp, withConsent(text, given), { mode: 0o600 })
    yield* fs.rename(temp, home.identity)
  })

  const publish = Effect.gen(function*() {
    if (!path.isAbsolute(root)) return
    yield* fs.makeDirectory(home.usage, { recursive: true, mode: 0o700 })
    yield* fs.writeFileString(home.optOut, "", { mode: 0o600 })
    // Everything that a process publishes from here on is taken back by the process itself.
    const names = yield* Effect.orElseSucceed(fs.readDirectory(home.usage), () => [])
    for (const name of names) {
      const file = path.join(home.usage, name)
      if (file !== home.optOut) yield* fs.remove(file, { recursive: true, force: true })
    }
    if (withConsent === undefined) yield* fs.remove(home.identity, { force: true })
    else yield* writeConsent(false)
  })

  const withdraw = Effect.gen(function*() {
    if (!path.isAbsolute(root)) return
    yield* fs.remove(home.optOut, { force: true })
    const exists = yield* Effect.orElseSucceed(fs.exists(home.identity), () => false)
    if (exists) yield* writeConsent(true)
  })

  return OptOut.of({ publish: failure(publish), withdraw: failure(withdraw) })
})

/**
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<OptOut, never, FileSystem.FileSystem | Path.Path | UsageSettings> = Layer.effect(
  OptOut,
  make
)
