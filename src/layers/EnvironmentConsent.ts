/**
 * Consent from the user's settings: variables, a policy file, an opt-out file, and the identity file of some formats.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Path from "effect/Path"
import * as ConsentDecision from "../domain/ConsentDecision.ts"
import { denied, given } from "../domain/ConsentDecision.ts"
import { formerOf, type IdentityCodec, isComplete, isForeign } from "../domain/IdentityCodec.ts"
import * as JsonDocument from "../domain/JsonDocument.ts"
import { Consent, OptOutError } from "../services/Consent.ts"
import { isAbsent, isRefused } from "../services/Disk.ts"
import { HostRuntime } from "../services/HostRuntime.ts"
import { UsageSettings } from "../services/UsageSettings.ts"
import * as ForeignFile from "./ForeignFile.ts"
import * as HomeSafety from "./HomeSafety.ts"
import { cold } from "./LoadCold.ts"
import * as Variable from "./Variable.ts"
import * as VariableConsent from "./VariableConsent.ts"

/**
 * The checks of consent.
 *
 * @internal
 */
export interface Checks {
  /** Notes the consent with which a command begins. */
  readonly begin: () => void
  readonly decide: () => ConsentDecision.ConsentDecision
  /** Decides without another look at the home. Undefined if a setting cannot be read now. */
  readonly stillGiven: () => boolean | undefined
}

const optedOut = denied({ _tag: "OptOutFile" })

// A setting that cannot be read now denies too.
const unreadable = denied({ _tag: "OptOutFile" })

/**
 * Creates the checks of a user whose variables do not deny.
 *
 * @internal
 */
export const make: Effect.Effect<Checks, never, Path.Path | UsageSettings | HostRuntime> = Effect.gen(function*() {
  const path = yield* Path.Path
  const settings = yield* UsageSettings
  const runtime = yield* HostRuntime
  const { disk, os } = runtime
  const { codec, home } = settings
  const formerCodec = formerOf(codec)
  // The author's own tests must not reach production.
  const { NODE_ENV, NODE_TEST_CONTEXT, PROGRAMDATA = "", VITEST } = yield* Variable.readAll(
    ["NODE_ENV", "NODE_TEST_CONTEXT", "PROGRAMDATA", "VITEST"],
    VariableConsent.unreadable
  )
  const isTestRun = NODE_ENV === "test" || VITEST !== undefined || NODE_TEST_CONTEXT !== undefined

  const policyFolder = os.type === "Windows_NT"
    ? PROGRAMDATA
    : os.type === "Darwin"
    ? "/Library/Application Support"
    : "/etc"
  const policyFile = policyFolder === "" ? "" : path.join(policyFolder, settings.name, "usage.json")

  // Folders have this name.
  const { name } = settings
  const isFolderName = name !== "" && name !== "." && name !== ".." && !name.includes("/") && !name.includes("\\")
  const nameProblem = isFolderName ? undefined : `the name "${name}" is no name of a folder`

  // Undefined if the policy cannot be read now, which denies too.
  const isDeniedByPolicy = (): boolean | undefined => {
    const read = policyFile === "" ? undefined : ForeignFile.read(disk, policyFile)
    if (read === undefined || read._tag === "Missing") return false
    if (read._tag === "Unreadable") return undefined
    return JsonDocument.parse(read.text)?.["enabled"] !== true
  }

  const denialIn = (codec: IdentityCodec): ConsentDecision.ConsentDecision | undefined => {
    if (codec.withConsent === undefined) return undefined
    const read = ForeignFile.read(disk, home.identityFile(codec.fileName))
    if (read._tag === "Unreadable") return unreadable
    if (read._tag === "Missing" || !codec.denies(read.text)) return undefined
    if (codec === formerCodec && isForeign(codec, read.text)) return undefined
    // Another tool may be writing the file: a denial that is not certain removes no published file.
    return isComplete(read.text) ? optedOut : unreadable
  }

  // Undefined if the file cannot be read now.
  const readEnabled = (): string | undefined => {
    const read = ForeignFile.read(disk, home.enabled)
    return read._tag === "Text" ? read.text : read._tag === "Missing" ? "" : undefined
  }

  // A process that began before an opt-out must not record after its withdrawal, under the deleted ids (ADR 0015). The
  // text of `enabled` changes with every withdrawal.
  let initialEnabled: string | undefined
  let wasGiven = false

  const userDenial = (): ConsentDecision.ConsentDecision | undefined => {
    const optOut = disk.look(home.optOut)
    if (!isRefused(optOut)) return optedOut
    if (!isAbsent(optOut)) return unreadable
    const now = readEnabled()
    if (now === undefined) return unreadable
    initialEnabled ??= now
    if (initialEnabled !== now) return denied({ _tag: "Outlived" })
    return denialIn(codec)
  }

  // Cached: the policy does not change while a command runs, and no tool writes a denial into a former file.
  let policy: boolean | undefined
  let isFormerDenied: boolean | undefined
  let homeProblem: string | undefined
  let wasDecided = false

  // Returns the denial of the other settings. The home is looked at again with each decision.
  const otherDenial = (isDecision: boolean): ConsentDecision.ConsentDecision | undefined => {
    isFormerDenied ??= denialIn(formerCodec) !== undefined
    // `telemetry enable` withdraws a denial in a former file.
    const former = isFormerDenied ? denialIn(formerCodec) : undefined
    if (former !== undefined && former !== unreadable) return former
    if (isTestRun) return denied({ _tag: "TestRun" })
    if (settings.destination === undefined) return denied({ _tag: "NoKey", problem: settings.destinationProblem })
    if (isDecision || !wasDecided) homeProblem = nameProblem ?? HomeSafety.problem(home, path, runtime)
    wasDecided = true
    // Last: in the home of another user nothing can be read.
    return homeProblem === undefined ? former : denied({ _tag: "UnsafeHome", problem: homeProblem })
  }

  return {
    begin: () => {
      if (!wasGiven) initialEnabled = readEnabled()
    },
    decide: () => {
      policy ??= isDeniedByPolicy()
      if (policy !== false) return denied({ _tag: "PolicyFile", path: policyFile })
      const user = userDenial()
      if (user !== undefined && user !== unreadable) return user
      // Last: a logout must know that every other setting allows (ADR 0036).
      const denial = otherDenial(true) ?? user
      wasGiven ||= denial === undefined
      return denial ?? given
    },
    stillGiven: () => {
      policy ??= isDeniedByPolicy()
      if (policy !== false) return policy === undefined ? undefined : false
      const denial = userDenial() ?? otherDenial(false)
      // The home may be readable again.
      return denial === unreadable || denial?.decidedBy._tag === "UnsafeHome" ? undefined : denial === undefined
    }
  }
})

/**
 * Returns checks with a fixed decision, for a user who denies by a variable.
 *
 * @internal
 */
export const fixed = (decision: ConsentDecision.ConsentDecision): Checks => ({
  begin: () => {},
  decide: () => decision,
  stillGiven: () => decision.enabled
})

/**
 * Creates the service. The code that changes consent is loaded at its first use.
 *
 * @internal
 */
export const serviceOf = Effect.fnUntraced(function*({ begin, decide, stillGiven }: Checks) {
  const { home } = yield* UsageSettings
  const context = yield* Effect.context<Path.Path | UsageSettings | HostRuntime>()
  const problem = "could not be changed: a file of the program is missing"
  const optOut = cold.pipe(
    Effect.catchDefect((cause) => Effect.fail(new OptOutError({ path: home.optOut, problem, cause }))),
    Effect.flatMap(({ OptOutFiles }) => OptOutFiles.make),
    Effect.provideContext(context)
  )
  return Consent.of({
    begin: Effect.sync(begin),
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
 * A single denial is enough: `<NAME>_USAGE_TRACKING`, `DO_NOT_TRACK`, the policy file of the machine, `telemetry
 * disable`, a test run, no PostHog key, an unsafe home. A setting that cannot be read denies.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<Consent, never, Path.Path | UsageSettings | HostRuntime> = Layer.effect(
  Consent,
  Effect.gen(function*() {
    const denial = yield* VariableConsent.decide((yield* UsageSettings).variables)
    return yield* serviceOf(denial === undefined ? yield* make : fixed(denial))
  })
)
