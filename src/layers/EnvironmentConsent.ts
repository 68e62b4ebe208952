/**
 * Consent as users give and deny it: by environment variables, a policy file and an opt-out file.
 *
 * @since 0.1.0
 */
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
import type { PlatformError } from "effect/PlatformError"
import * as Predicate from "effect/Predicate"
import * as Ref from "effect/Ref"
import * as Schema from "effect/Schema"
import type { ConsentDecision } from "../domain/ConsentDecision.ts"
import { denied, given } from "../domain/ConsentDecision.ts"
import { formers as formersOf, type IdentityCodec, isForeign } from "../domain/IdentityCodec.ts"
import { Consent } from "../services/Consent.ts"
import { RuntimeEnvironment } from "../services/RuntimeEnvironment.ts"
import { UsageSettings } from "../services/UsageSettings.ts"
import * as HomeSafety from "./HomeSafety.ts"
import * as SmallFile from "./SmallFile.ts"
import * as Variable from "./Variable.ts"

const permissive = {
  usageTracking: new Set(["", "1", "true", "yes", "on"]),
  doNotTrack: new Set(["", "0", "false", "no", "off"])
}

// A variable that cannot be read is one that somebody set: it denies.
const variable = (name: string): Effect.Effect<string> =>
  Effect.map(Variable.read(name, "unreadable"), (value) => value ?? "")

const Policy = Schema.decodeOption(Schema.fromJsonString(Schema.Struct({ enabled: Schema.Boolean })))

/**
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.gen(function*() {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const settings = yield* UsageSettings
  const runtime = yield* RuntimeEnvironment
  const { home } = settings

  const normalized = (text: string) => text.trim().toLowerCase()
  const usageTracking = `${settings.variables}_USAGE_TRACKING`

  // What users say in their environment holds wherever else a host reads its configuration from: a `.env` of a folder
  // that was cloned must not give a consent that they denied.
  const processEnvironment = ConfigProvider.fromEnv()
  const settingsOfUser = [
    { name: usageTracking, allowed: permissive.usageTracking },
    { name: "DO_NOT_TRACK", allowed: permissive.doNotTrack }
  ]
  const byVariable = Effect.gen(function*() {
    for (const { allowed, name } of settingsOfUser) {
      const values = [
        yield* variable(name),
        yield* Effect.provideService(variable(name), ConfigProvider.ConfigProvider, processEnvironment)
      ]
      if (values.some((value) => !allowed.has(normalized(value)))) return denied({ _tag: "Variable", name })
    }
    return undefined
  })

  // The author's own tests must not reach production.
  const byTestRun = Effect.gen(function*() {
    const isTest = (yield* variable("NODE_ENV")) === "test" || (yield* variable("VITEST")) !== "" ||
      (yield* variable("NODE_TEST_CONTEXT")) !== ""
    return isTest ? denied({ _tag: "TestRun" }) : undefined
  })

  const policyFile = Effect.gen(function*() {
    if (runtime.os.type === "Windows_NT") {
      const programData = yield* variable("PROGRAMDATA")
      return programData === "" ? undefined : path.join(programData, settings.name, "usage.json")
    }
    return runtime.os.type === "Darwin"
      ? path.join("/Library/Application Support", settings.name, "usage.json")
      : path.join("/etc", settings.name, "usage.json")
  })

  const environment = {
    variable: yield* byVariable,
    testRun: yield* byTestRun,
    policyFile: yield* policyFile
  }

  // The machine's policy does not change while a command runs; the user's opt-out may.
  const byPolicy = environment.policyFile === undefined
    ? Effect.succeed(undefined)
    : yield* Effect.cached(
      SmallFile.read(fs, environment.policyFile).pipe(
        Effect.map((text) =>
          Option.exists(Policy(text), (policy) => policy.enabled) ? undefined : denied({ _tag: "PolicyFile" })
        ),
        Effect.catch((error) => Effect.succeed(isAbsent(error) ? undefined : denied({ _tag: "PolicyFile" })))
      )
    )

  const byOptOut = fs.lstat(home.optOut).pipe(
    Effect.as(denied({ _tag: "OptOutFile" })),
    Effect.catch((error) => Effect.succeed(isAbsent(error) ? undefined : denied({ _tag: "OptOutFile" })))
  )

  const byFile = (
    { fileName, withConsent }: IdentityCodec,
    denies: (text: string) => boolean,
    unreadable: (error: PlatformError) => boolean
  ) =>
    withConsent === undefined
      ? Effect.succeed(undefined)
      : SmallFile.read(fs, home.identityFile(fileName)).pipe(
        Effect.map(denies),
        Effect.catch((error) => Effect.succeed(error.reason._tag !== "NotFound" && unreadable(error))),
        Effect.map((isDenied) => isDenied ? denied({ _tag: "OptOutFile" }) : undefined)
      )

  const byIdentityFile = byFile(settings.codec, settings.codec.denies, () => true)

  // Who denied in the file of a format that the host had before, has denied.
  const formers = formersOf(settings.codec)
  const byFormerFile = Effect.gen(function*() {
    for (const former of formers) {
      const denies = (text: string) => former.denies(text) && !isForeign(former, text)
      const decision = yield* byFile(former, denies, (error) => !isAbsent(error))
      if (decision !== undefined) return decision
    }
    return undefined
  })
  // Nobody denies there any more; `telemetry enable` withdraws what was said.
  const hasFormerDenial = environment.variable === undefined && (yield* byFormerFile) !== undefined

  // What an opt-out has deleted is nothing that a process can go on with which read it before, wherever it was suspended.
  const began = yield* Ref.make<string | undefined>(undefined)
  const consentNow = Effect.catch(
    SmallFile.read(fs, home.enabled),
    (error) => isAbsent(error) ? Effect.succeed("") : Effect.fail(denied({ _tag: "OptOutFile" }))
  )
  const byOutlived = Effect.gen(function*() {
    const now = yield* consentNow
    const before = yield* Ref.get(began)
    if (before === undefined) yield* Ref.set(began, now)
    return before === undefined || before === now ? undefined : denied({ _tag: "Outlived" })
  }).pipe(Effect.catch((denial) => Effect.succeed(denial)))

  const { unsafe } = yield* HomeSafety.make
  const byHome = Effect.map(
    unsafe,
    (problem) => problem === undefined ? undefined : denied({ _tag: "UnsafeHome", problem })
  )

  const decision: Effect.Effect<ConsentDecision> = Effect.gen(function*() {
    if (environment.variable !== undefined) return environment.variable
    return (yield* byPolicy) ?? (yield* byOptOut) ?? (yield* byOutlived) ?? (yield* byIdentityFile) ??
      (hasFormerDenial ? yield* byFormerFile : undefined) ?? environment.testRun ??
      (settings.destination === undefined
        ? denied({ _tag: "NoKey", problem: settings.destinationProblem })
        : undefined) ??
      (yield* byHome) ?? given
  })

  return Consent.of({ decision })
})

// Also where the folder is a file: a home that is one has no opt-out in it, and the look at the home itself will say that
// it is unsafe; `/etc/hosts` has no policy in it.
const isAbsent = ({ cause, reason }: PlatformError): boolean =>
  reason._tag === "NotFound" || (Predicate.hasProperty(cause, "code") && cause.code === "ENOTDIR")

/**
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<
  Consent,
  never,
  FileSystem.FileSystem | Path.Path | UsageSettings | RuntimeEnvironment
> = Layer.effect(Consent, make)
