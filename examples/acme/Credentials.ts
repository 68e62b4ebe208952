/**
 * Where acme keeps its user's key.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Yaml from "effect/encoding/Yaml"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { Acme } from "./Config.ts"

export class CredentialsError extends Schema.TaggedError<CredentialsError>()("CredentialsError", {
  message: Schema.String
}) {}

const decode = Schema.decodeUnknownOption(
  Schema.Struct({ cloud: Schema.Struct({ api: Schema.Struct({ key: Schema.NonEmptyString }) }) })
)

export class Credentials extends Context.Service<Credentials, {
  /** The key from the environment, else from the file. */
  readonly key: Effect.Effect<Option.Option<string>>
  readonly save: (key: string) => Effect.Effect<void, CredentialsError>
  /** Whether there was anything to remove. */
  readonly remove: Effect.Effect<boolean, CredentialsError>
}>()("acme/Credentials") {
  static readonly layer = Layer.effect(
    this,
    Effect.gen(function*() {
      const fs = yield* FileSystem.FileSystem
      const acme = yield* Acme
      const stored = fs.readFileString(acme.credentials).pipe(
        Effect.flatMap((text) => Effect.try(() => Yaml.parse(text))),
        Effect.map((document) => Option.map(decode(document), ({ cloud }) => cloud.api.key)),
        Effect.orElseSucceed(() => Option.none<string>())
      )
      const failure = () => new CredentialsError({ message: `${acme.credentials} could not be changed` })
      return Credentials.of({
        key: Option.isSome(acme.apiKey) ? Effect.succeed(acme.apiKey) : stored,
        save: (key) =>
          fs.makeDirectory(acme.home, { recursive: true, mode: 0o700 }).pipe(
            // JSON is YAML: a key of any characters stays one string.
            Effect.andThen(fs.writeFileString(
              acme.credentials,
              `cloud:\n  api:\n    key: ${JSON.stringify(key)}\n`,
              { mode: 0o600 }
            )),
            // A file that was there keeps its mode.
            Effect.andThen(fs.chmod(acme.credentials, 0o600)),
            Effect.mapError(failure)
          ),
        remove: fs.remove(acme.credentials).pipe(
          Effect.as(true),
          Effect.catchIf((error) => error.reason._tag === "NotFound", () => Effect.succeed(false)),
          Effect.mapError(failure)
        )
      })
    })
  )
}
