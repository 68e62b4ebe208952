/**
 * The opt-out as a file whose existence is the answer: `usage/opt-out`.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Path from "effect/Path"
import type { PlatformError } from "effect/PlatformError"
import * as Predicate from "effect/Predicate"
import * as Random from "effect/Random"
import { formers as formersOf, type IdentityCodec, isForeign } from "../domain/IdentityCodec.ts"
import { OptOut, OptOutError } from "../services/OptOut.ts"
import type { RuntimeEnvironment } from "../services/RuntimeEnvironment.ts"
import { UsageSettings } from "../services/UsageSettings.ts"
import * as HomeSafety from "./HomeSafety.ts"
import * as SmallFile from "./SmallFile.ts"

// As the system says it: the user is to know what is in the way.
const told = ({ cause, message }: PlatformError): string => Predicate.isError(cause) ? cause.message : message

/**
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.gen(function*() {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const { codec, home } = yield* UsageSettings

  const { notOwn } = yield* HomeSafety.make

  const named = (what: string) =>
    Effect.mapError((cause: PlatformError) =>
      new OptOutError({ path: home.optOut, problem: `${what}: ${told(cause)}`, cause })
    )
  const unchanged = "could not be changed"

  const guarded = (effect: Effect.Effect<void, OptOutError>) =>
    Effect.flatMap(
      notOwn,
      (problem) =>
        problem === undefined
          ? effect
          : Effect.fail(new OptOutError({ path: home.optOut, problem: `${unchanged}: ${problem}` }))
    )

  // The file of a format that the host had before holds an identity, and perhaps a decision, too.
  const formers = formersOf(codec)

  const writeConsent = Effect.fnUntraced(function*({ fileName, withConsent }: IdentityCodec, given: boolean) {
    if (withConsent === undefined) return
    const file = home.identityFile(fileName)
    const text = yield* Effect.orElseSucceed(SmallFile.read(fs, file), () => undefined)
    const temp = `${home.optOut}.${fileName}`
    yield* fs.makeDirectory(home.usage, { recursive: true, mode: 0o700 })
    yield* fs.writeFileString(temp, withConsent(text, given), { mode: 0o600 })
    yield* fs.rename(temp, file)
  })

  // A file that is there and cannot be read denies, if its format holds consent.
  const denies = ({ denies, fileName, withConsent }: IdentityCodec) =>
    Effect.match(SmallFile.read(fs, home.identityFile(fileName)), {
      onFailure: (error) => withConsent !== undefined && error.reason._tag !== "NotFound",
      onSuccess: denies
    })

  const isFormer = (former: IdentityCodec) =>
    Effect.match(SmallFile.read(fs, home.identityFile(former.fileName)), {
      onFailure: () => false,
      onSuccess: (text) => !isForeign(former, text)
    })

  const formats = Effect.map(Effect.filter(formers, isFormer), (isFormat) => [codec, ...isFormat])

  const deny = (codec: IdentityCodec) =>
    codec.withConsent === undefined
      ? fs.remove(home.identityFile(codec.fileName), { force: true })
      : writeConsent(codec, false)

  // Node.js gives up a folder in which another process removes or renames a file meanwhile, and does not say so. Under
  // another name nobody finds it any more; a process that is killed here leaves it to the next opt-out.
  const remove = Effect.fnUntraced(function*(file: string, aside: string) {
    const target = yield* Effect.match(fs.rename(file, aside), { onFailure: () => file, onSuccess: () => aside })
    yield* fs.remove(target, { recursive: true, force: true })
  })

  // Everything that a process publishes from here on is taken back by the process itself. What cannot be deleted keeps
  // nothing else from being.
  const clean = Effect.gen(function*() {
    const listed = yield* Effect.exit(fs.readDirectory(home.usage))
    const names = Exit.isSuccess(listed) ? listed.value : []
    const done = yield* Effect.forEach(
      [
        ...names.filter((name) => path.join(home.usage, name) !== home.optOut).map((name) =>
          remove(path.join(home.usage, name), `${home.optOut}.${name}`)
        ),
        ...(yield* formats).map(deny)
      ],
      Effect.exit
    )
    yield* Exit.asVoidAll([listed, ...done])
  }).pipe(named("stands, but not everything could be deleted"))

  const write = Effect.gen(function*() {
    yield* fs.makeDirectory(home.usage, { recursive: true, mode: 0o700 })
    // One that is there denies, whatever it is.
    yield* Effect.catchIf(
      fs.writeFileString(home.optOut, "", { flag: "wx", mode: 0o600 }),
      (error) => error.reason._tag === "AlreadyExists",
      () => Effect.void
    )
  }).pipe(named(unchanged))

  const isDenied = Effect.gen(function*() {
    if (yield* Effect.isSuccess(fs.lstat(home.optOut))) return true
    for (const each of yield* formats) if (yield* denies(each)) return true
    return false
  })

  const beginAnew = Effect.gen(function*() {
    yield* fs.writeFileString(home.enabled, `${yield* Clock.currentTimeMillis} ${yield* Random.next}`, { mode: 0o600 })
    for (const each of yield* formats) yield* writeConsent(each, true)
    // Last: until then telemetry is off, whatever the files say.
    yield* fs.remove(home.optOut, { force: true })
  }).pipe(named(unchanged))

  const publish = Effect.andThen(write, clean)

  return OptOut.of({
    publish: guarded(publish),
    // A denial in a file takes the ids with it as an opt-out does, of which a killed process may have left something. Who
    // says yes twice keeps their id.
    withdraw: guarded(
      Effect.flatMap(isDenied, (denied) => denied ? Effect.andThen(publish, beginAnew) : Effect.void)
    )
  })
})

/**
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<
  OptOut,
  never,
  FileSystem.FileSystem | Path.Path | UsageSettings | RuntimeEnvironment
> = Layer.effect(OptOut, make)
