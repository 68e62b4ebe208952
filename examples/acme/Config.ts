/**
 * What acme reads from its environment.
 */
import * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Path from "effect/Path"

export class Acme extends Context.Service<Acme, {
  readonly home: string
  readonly credentials: string
  readonly apiUrl: string
  readonly apiKey: Option.Option<string>
  readonly posthog: { readonly host: string; readonly key: string }
}>()("acme/Config") {
  static readonly layer = Layer.effect(
    this,
    Effect.gen(function*() {
      const path = yield* Path.Path
      const user = yield* Config.String("HOME").pipe(Config.withDefault("/"))
      const home = yield* Config.String("ACME_HOME").pipe(Config.withDefault(path.join(user, ".acme")))
      return Acme.of({
        home,
        credentials: path.join(home, "credentials.yaml"),
        apiUrl: yield* Config.String("ACME_API_URL").pipe(Config.withDefault("http://127.0.0.1:4010")),
        // A variable of nothing but blanks is none, as for the resolver.
        apiKey: Option.filter(yield* Config.option(Config.String("ACME_API_KEY")), (key) => key.trim() !== ""),
        posthog: {
          host: yield* Config.String("ACME_POSTHOG_HOST").pipe(Config.withDefault("http://127.0.0.1:4000")),
          key: yield* Config.String("ACME_POSTHOG_KEY").pipe(Config.withDefault(""))
        }
      })
    })
  )
}
