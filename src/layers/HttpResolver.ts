/**
 * Reads the credential input from variables and a file. The parser and the HTTP client are loaded for new credentials
 * only.
 */
import * as Effect from "effect/Effect"
import { isAbsolute } from "node:path"
import { HostRuntime } from "../services/HostRuntime.ts"
import { type CredentialInput, PrincipalResolver } from "../services/PrincipalResolver.ts"
import * as CredentialText from "./CredentialText.ts"
import { debug } from "./Debug.ts"
import type { Options } from "./HttpPrincipalResolver.ts"
import { cold } from "./LoadCold.ts"
import * as Variable from "./Variable.ts"

export const make = Effect.fnUntraced(function*({ file, forms }: Options, parseYaml: (text: string) => unknown) {
  const { disk } = yield* HostRuntime
  if (file !== undefined && !isAbsolute(file)) {
    yield* debug(`no credential is read: file "${file}" of HttpPrincipalResolver is no absolute path`)
  }
  for (const { environment, key, path } of forms) {
    if (environment === undefined && (key === undefined || file === undefined)) {
      yield* debug(`no credential is read: the form of "${path}" has no \`environment\`, and no \`key\` with \`file\``)
    }
  }
  // The environment of a process does not change.
  const variables: Record<string, string | undefined> = yield* Variable.readAll(
    forms.flatMap(({ environment }) => environment ?? [])
  )
  for (const name in variables) if (variables[name]?.trim() === "") variables[name] = undefined
  const input: CredentialInput = {
    files: file === undefined ? [] : [file],
    variables,
    configuration: JSON.stringify(forms),
    parse: (read) => Effect.map(cold, ({ HttpPrincipal }) => HttpPrincipal.parse(forms, read, parseYaml))
  }
  return PrincipalResolver.of({
    input,
    credential: Effect.suspend(() => {
      const text = CredentialText.read(disk, input)
      return text === undefined ? Effect.succeed(undefined) : input.parse(CredentialText.decode(text))
    }),
    resolve: (credential) => Effect.flatMap(cold, ({ HttpPrincipal }) => HttpPrincipal.resolve(credential))
  })
})
