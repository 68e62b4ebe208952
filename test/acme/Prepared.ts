/**
 * What the tests of processes share: a device that was used before, and a host whose commands end in unusual ways.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { fileURLToPath } from "node:url"
import * as Message from "../../src/domain/Message.ts"
import { temporaryFolder } from "../fixtures/Folders.ts"
import { start, type StartOptions } from "../fixtures/Process.ts"
import { suiteOf } from "../fixtures/Tests.ts"
import { bundleHost, type Device, eventFiles, Harness, noWorker, runtimeWords } from "./Harness.ts"

/** What the tests share, made once. */
class Prepared extends Context.Service<Prepared, {
  /** A host whose commands end in unusual ways, bundled into one file. */
  readonly ends: string
  /** The home of a device that was used before. */
  readonly used: string
}>()("test/acme/Prepared") {
  static readonly layer = Layer.effect(
    this,
    Effect.gen(function*() {
      const ends = Path.join(yield* temporaryFolder("acme-ends-"), "ends.mjs")
      yield* bundleHost(fileURLToPath(new URL("./hosts/Ends.ts", import.meta.url)), ends)
      const acme = yield* (yield* Harness).device("used")
      yield* acme.run("deploy first")
      yield* acme.delivered(1)
      yield* noWorker(acme)
      return { ends, used: acme.home }
    })
  )
}

/** Runs a process to its end, and sends it a signal when PostHog is asked. */
export const runUntilAsked = Effect.fnUntraced(
  function*(acme: Device, words: ReadonlyArray<string>, signal: NodeJS.Signals, options: StartOptions) {
    const { child, ended } = yield* start(words, options)
    yield* acme.sink.waitFor((_, requests) => requests.length > 0)
    child.kill(signal)
    return yield* ended
  },
  Effect.scoped
)

export const words = Effect.fnUntraced(function*(line: string) {
  return [...runtimeWords, (yield* Harness).acme, ...line.split(" ")]
})

/** A device of the host whose commands end in unusual ways. */
export const endsDevice = Effect.gen(function*() {
  const { ends, used } = yield* Prepared
  const acme = yield* (yield* Harness).device("ended")
  const home = Path.join(Path.dirname(acme.home), "ends")
  Fs.cpSync(used, home, { recursive: true })
  const env = { ...acme.env, ENDS_HOME: home, ENDS_POSTHOG_HOST: acme.sink.url }
  return { ...acme, home, env, words: (...args: ReadonlyArray<string>) => [...runtimeWords, ends, ...args] }
})

/** A device that was used before, so that a run without a terminal is not its first. */
export const usedDevice = Effect.gen(function*() {
  const { used } = yield* Prepared
  const acme = yield* (yield* Harness).device("delivery")
  Fs.cpSync(used, acme.home, { recursive: true })
  return acme
})

/** The events that wait, oldest first. */
export const waiting = (home: string): ReadonlyArray<Message.Message> =>
  eventFiles(home).flatMap((file) => Message.decode(Fs.readFileSync(file, "utf8")) ?? [])

/** Declares tests with what they share, which is made once for all of them. */
export const suite = suiteOf(Prepared.layer.pipe(Layer.provideMerge(Harness.layer)))
