/**
 * Consent from the user's settings: variables, a policy file, an opt-out file, and the identity file of some formats.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
import * as ConsentDecision from "../domain/ConsentDecision.ts"
import { denied, given } from "../domain/ConsentDecision.ts"
import { formers as formersOf, type IdentityCodec, isForeign } from "../domain/IdentityCodec.ts"
import * as JsonDocument from "../domain/JsonDocument.ts"
import { Consent, OptOutError } from "../services/Consent.ts"
import { isAbsent, isRefused } from "../services/Disk.ts"
import { HostRuntime } from "../services/HostRuntime.ts"
import { UsageSettings } from "../services/UsageSettings.ts"
import * as ForeignFile from "./ForeignFile.ts"
import * as HomeSafety from "./HomeSafety.ts"
import { cold } from "./LoadCold.ts"
import * as VariableConsent from "./VariableConsent.ts"

/**
 * Looks at consent.
 *
 * @internal
 */
export interface Looks {
  readonly decide: () => ConsentDecision.ConsentDecision
  /** Undefined where it cannot be found out now. */
  readonly stillGiven: () => boolean | undefined
}

const optedOut = denied({ _tag: "OptOutFile" })

// What cannot be read now denies too.
const unclear = denied({ _tag: "OptOutFile" })

/**
 * The looks at consent where no variable denies.
 *
 * @internal
 */
export const make: Effect.Effect<Looks, never, Path.Path | UsageSettings | HostRuntime> = Effect.gen(function*() {
  const path = yield* Path.Path
  const settings = yield* UsageSettings
  const runtime = yield* HostRuntime
  const { disk, os } = runtime
  const { codec, home } = settings
  // The author's own tests must not reach production.
  const isTestRun = (yield* VariableConsent.valueOf("NODE_ENV")) === "test" ||
    (yield* VariableConsent.valueOf("VITEST")) !== "" ||
    (yield* VariableConsent.valueOf("NODE_TEST_CONTEXT")) !== ""
  const programData = os.type === "Windows_NT" ? yield* VariableConsent.valueOf("PROGRAMDATA") : ""

  const policyFile = (): string | undefined => {
    if (os.type === "Windows_NT") {
      return programData === "" ? undefined : path.join(programData, settings.name, "usage.json")
    }
    const folder = os.type === "Darwin" ? "/Library/Application Support" : "/etc"
    return path.join(folder, settings.name, "usage.json")
  }

  const isDeniedByPolicy = (): boolean => {
    const file = policyFile()
    const read = file === undefined ? undefined : ForeignFile.read(disk, file)
    if (read === undefined || read._tag === "Missing") return false
    const policy = read._tag === "Text" ? Option.getOrUndefined(JsonDocument.parse(read.text)) : undefined
    return policy?.["enabled"] !== true
  }

  const denialIn = (
    { fileName, withConsent }: IdentityCodec,
    denies: (text: string) => boolean
  ): ConsentDecision.ConsentDecision | undefined => {
    if (withConsent === undefined) return undefined
    const read = ForeignFile.read(disk, home.identityFile(fileName))
    if (read._tag === "Unreadable") return unclear
    return read._tag === "Text" && denies(read.text) ? optedOut : undefined
  }

  // A user who denied in the file of a format that the host had before has denied.
  const isDeniedInFormer = (): boolean =>
    formersOf(codec).some((former) =>
      denialIn(former, (text) => former.denies(text) && !isForeign(former, text)) !== undefined
    )

  // What an opt-out deleted must not be recorded again by a process that read it before. `enabled` changes with every
  // withdrawal of an opt-out.
  let began: string | undefined

  const byUser = (): ConsentDecision.ConsentDecision | undefined => {
    const optOut = disk.look(home.optOut)
    if (!isRefused(optOut)) return optedOut
    if (!isAbsent(optOut)) return unclear
    const enabled = ForeignFile.read(disk, home.enabled)
    if (enabled._tag === "Unreadable") return unclear
    const now = enabled._tag === "Text" ? enabled.text : ""
    began ??= now
    if (began !== now) return denied({ _tag: "Outlived" })
    return denialIn(codec, codec.denies)
  }

  // The machine's policy does not change while a command runs, and nobody denies in a former file any more.
  let policy: boolean | undefined
  let former: boolean | undefined

  return {
    decide: () => {
      policy ??= isDeniedByPolicy()
      if (policy) return denied({ _tag: "PolicyFile" })
      const user = byUser()
      if (user !== undefined) return user
      former ??= isDeniedInFormer()
      // `telemetry enable` withdraws what was denied there.
      if (former && isDeniedInFormer()) return optedOut
      if (isTestRun) return denied({ _tag: "TestRun" })
      if (settings.destination === undefined) return denied({ _tag: "NoKey", problem: settings.destinationProblem })
      const problem = HomeSafety.problem(home, path, runtime)
      return problem === undefined ? given : denied({ _tag: "UnsafeHome", problem })
    },
    stillGiven: () => {
      const denial = byUser()
      return denial === unclear ? undefined : denial === undefined
    }
  }
})

/**
 * The looks at consent where a variable denies.
 *
 * @internal
 */
export const always = (decision: ConsentDecision.ConsentDecision): Looks => ({
  decide: () => decision,
  stillGiven: () => decision.enabled
})

/**
 * Makes the service; what changes consent is loaded when the user asks for it.
 *
 * @internal
 */
export const serviceOf = Effect.fnUntraced(function*({ decide, stillGiven }: Looks) {
  const { home } = yield* UsageSettings
  const context = yield* Effect.context<Path.Path | UsageSettings | HostRuntime>()
  const problem = "could not be changed: a file of the program is gone"
  const optOut = cold.pipe(
    Effect.catchDefect((cause) => Effect.fail(new OptOutError({ path: home.optOut, problem, cause }))),
    Effect.flatMap(({ OptOutFiles }) => OptOutFiles.make),
    Effect.provideContext(context)
  )
  return Consent.of({
    decision: Effect.sync(decide),
    stillGiven: Effect.sync(stillGiven),
    deny: Effect.flatMap(optOut, ({ deny }) => deny),
    allow: Effect.flatMap(optOut, ({ allow }) => allow)
  })
})

/**
 * Provides `Consent` from the user's variables and files.
 *
 * **Details**
 *
 * Any denial wins: `<NAME>_USAGE_TRACKING`, `DO_NOT_TRACK`, the policy file of the machine, `telemetry disable`, a test
 * run, no PostHog key, an unsafe home. A setting that cannot be read denies.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<Consent, never, Path.Path | UsageSettings | HostRuntime> = Layer.effect(
  Consent,
  Effect.gen(function*() {
    const denial = yield* VariableConsent.decide((yield* UsageSettings).variables)
    return yield* serviceOf(denial === undefined ? yield* make : always(denial))
  })
)
